-- GETs of many paths: the number n of the list as often as 1/n of the first (Zipf's law), or all in turn.
-- arguments: file with a path in each line, "zipf" or "turn"
dofile(os.getenv("BENCH_LUA") .. "/report.lua")

local requests, shares, last = {}, {}, 0
local order

function init(args)
    order = args[2]
    local sum = 0
    for path in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("GET", path)
        sum = sum + 1 / #requests
        shares[#shares + 1] = sum
    end
    -- The same draws in each run.
    math.randomseed(1)
end

local function drawn()
    local wanted, low, high = math.random() * shares[#shares], 1, #shares
    while low < high do
        local middle = math.floor((low + high) / 2)
        if shares[middle] < wanted then low = middle + 1 else high = middle end
    end
    return low
end

function request()
    if order == "zipf" then return requests[drawn()] end
    last = last % #requests + 1
    return requests[last]
end

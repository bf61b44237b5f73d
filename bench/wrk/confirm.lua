-- Payments of prepared charges, each told once: charges number FIRST to LAST, whose txid is BENCH and the number.
-- Ends when all were asked for.
-- arguments: FIRST LAST
dofile(os.getenv("BENCH_LUA") .. "/report.lua")

local ffi = require("ffi")
ffi.cdef("int getpid(void); int kill(int, int);")

local following, last

function init(args)
    following, last = tonumber(args[1]), tonumber(args[2])
end

function request()
    local number = following
    if number > last then
        -- What Ctrl-C does: wrk ends its sleep early and reports. `thread:stop` alone would leave it asleep for all of -d.
        ffi.C.kill(ffi.C.getpid(), 2)
        wrk.thread:stop()
        -- One has to be returned. Nobody waits for its answer, and told twice a payment counts once.
        number = last
    else
        following = number + 1
    end
    return wrk.format("POST", string.format("/api/v1/simulado/pagamentos/BENCH%020d", number),
        { ["Content-Type"] = "application/json" },
        string.format('{"valor_centavos":5000,"e2eid":"E99000001202611240000%011d"}', number))
end

function response(status, headers)
    count(status, headers, 200)
end

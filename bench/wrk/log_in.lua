-- Log-ins with the right password. Those that find the queue for hashing full are told to come back.
-- arguments: PASSWORD EMAIL_PATTERN PEOPLE
dofile(os.getenv("BENCH_LUA") .. "/report.lua")

local password, pattern, people
local person = 0

function init(args)
    password, pattern, people = args[1], args[2], tonumber(args[3])
end

function request()
    person = person % people + 1
    return wrk.format("POST", "/api/v1/sessoes", { ["Content-Type"] = "application/json" },
        string.format('{"email":"%s","senha":"%s"}', string.format(pattern, person), password))
end

function response(status, headers)
    count(status, headers, 201)
end

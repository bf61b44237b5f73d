-- Donations of a guest, each with an Idempotency-Key of its own.
-- arguments: path
dofile(os.getenv("BENCH_LUA") .. "/report.lua")

local made = 0
local path, prefix
local body = '{"valor_centavos":5000,"nome_exibicao":"Bia","mensagem":"Força!","provedor":"simulado",'
    .. '"aviso_privacidade":"2026-11","consentimento":true}'

function init(args)
    path = args[1]
    local source = assert(io.open("/dev/urandom", "rb"))
    local bytes = source:read(9)
    source:close()
    local hex = bytes:gsub(".", function(byte) return string.format("%02x", byte:byte()) end)
    prefix = string.format("%s-%s-4%s-8%s-", hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 15), hex:sub(16, 18))
end

function request()
    made = made + 1
    return wrk.format("POST", path, {
        ["Content-Type"] = "application/json",
        ["Idempotency-Key"] = prefix .. string.format("%012x", made),
    }, body)
end

function response(status, headers)
    count(status, headers, 201)
end

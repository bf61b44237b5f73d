-- Shared by the scripts of this folder: prints what wrk saw as one line of JSON.

threads = {}

function setup(thread)
    table.insert(threads, thread)
end

-- Answers by kind, for scripts that have a response function. A 503 is deliberate only if it says when to come back.
counts = { success = 0, busy = 0, other = 0 }

function count(status, headers, due)
    if status == due then
        counts.success = counts.success + 1
    elseif status == 503 and (headers["retry-after"] or headers["Retry-After"]) then
        counts.busy = counts.busy + 1
    else
        counts.other = counts.other + 1
        if not sample then
            sample = status
        end
    end
end

function done(summary, latency, _)
    local total = { success = 0, busy = 0, other = 0 }
    local sample = 0
    for _, thread in ipairs(threads) do
        for kind, number in pairs(thread:get("counts")) do
            total[kind] = total[kind] + number
        end
        sample = thread:get("sample") or sample
    end
    local late = 0
    for i = 1, #latency do
        local microseconds, times = latency(i)
        if microseconds > 2e6 then
            late = late + times
        end
    end
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "seconds": %.6f, "p50": %.3f, "p90": %.3f, "p99": %.3f, "p999": %.3f, "max": %.3f, '
            .. '"late": %d, "status_errors": %d, "socket_errors": %d, "timeouts": %d, '
            .. '"success": %d, "busy": %d, "other": %d, "sample": %d}\n',
        summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3,
        latency:percentile(99.9) / 1e3, latency.max / 1e3,
        late + e.timeout, e.status, e.connect + e.read + e.write, e.timeout,
        total.success, total.busy, total.other, sample))
end

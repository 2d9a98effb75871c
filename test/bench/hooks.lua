-- wrk: each request is another push, signed in advance (bench.py writes the bodies, one a line: signature, blank, body).
local path = os.getenv("BENCH_BODIES")
local kind = os.getenv("BENCH_KIND")
local requests = {}
local next_request = 0
local statuses = {}

function init()
    for line in io.lines(path) do
        local signature, delivery, body = line:match("^(%S+) (%S+) (.*)$")
        requests[#requests + 1] = wrk.format("POST", nil, {
            ["Host"] = "bench", ["Content-Type"] = "application/json", ["X-GitHub-Event"] = "push",
            ["X-GitHub-Delivery"] = delivery, ["X-Hub-Signature-256"] = "sha256=" .. signature,
        }, body)
    end
end

function request()
    next_request = next_request + 1
    if next_request > #requests then
        -- every push is delivered once; what follows is the same one again, and counted as such
        next_request = 1
    end
    return requests[next_request]
end

local threads = {}
function setup(thread)
    threads[#threads + 1] = thread
end

function response(status)
    statuses[status] = (statuses[status] or 0) + 1
    count_200 = statuses[200] or 0
    count_202 = statuses[202] or 0
    count_other = (count_other or 0) + ((status ~= 200 and status ~= 202) and 1 or 0)
end

function done(summary, latency)
    local ok, new, other = 0, 0, 0
    for _, thread in ipairs(threads) do
        ok = ok + (thread:get("count_200") or 0)
        new = new + (thread:get("count_202") or 0)
        other = other + (thread:get("count_other") or 0)
    end
    io.write(string.format("RESULT %d %d %d %d %d %d %d %d\n", summary.duration, summary.requests, ok, new, other,
        latency:percentile(50), latency:percentile(99), summary.errors.connect + summary.errors.read + summary.errors.timeout))
end

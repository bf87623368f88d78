-- Counts served replies: status 200, code 1 and the full length of the body. All others count as "other". The same for
-- every side. The settings come from the environment, because wrk decides before init() whether it calls request() for
-- each request.
local length = tonumber(os.getenv("UPOOL_BENCH_LENGTH"))
local first = tonumber(os.getenv("UPOOL_BENCH_FIRST_ID"))
local last = tonumber(os.getenv("UPOOL_BENCH_LAST_ID"))

local threads = {}

-- Global, so that done() can read them from the thread.
served, other = 0, 0

function setup(thread)
  threads[#threads + 1] = thread
end

if first then
  -- Built before the clock starts; then one table look-up per request.
  local requests = {}

  function init(args)
    math.randomseed(tonumber(os.getenv("UPOOL_BENCH_SEED")))
    for id = first, last do
      requests[#requests + 1] = wrk.format("GET", "/user/" .. id)
    end
  end

  function request()
    return requests[math.random(#requests)]
  end
end

function response(status, headers, body)
  if status == 200 and #body == length and body:sub(1, 9) == '{"code":1' then
    served = served + 1
  else
    other = other + 1
  end
end

function done(summary, latency, requests)
  local served, other = 0, 0
  for _, thread in ipairs(threads) do
    served = served + thread:get("served")
    other = other + thread:get("other")
  end
  local lost = summary.errors
  io.write(string.format("\nfigures %.6f %d %d %.3f %.3f\n", summary.duration / 1e6, served,
    other + lost.connect + lost.read + lost.write + lost.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

-- Pings as the simulator sends them to its mock buyers, each with a lead of its own. Arguments: paths to send them to.
local paths, count = {}, 0

function init(args)
  paths = args
  wrk.headers["Accept"] = "*/*"
  wrk.headers["User-Agent"] = "PycURL"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["X-Sandbox-Now"] = "2026-01-05T12:00:00.123456+00:00"
end

function request()
  count = count + 1
  return wrk.format("POST", paths[count % #paths + 1], nil, string.format(
    '{"transaction_id":"txn-%d","state":"TX","zip_code":"77001","loan_amount":15000,"credit_score":"good",' ..
    '"home_owner":true}', count))
end

function done(summary)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write +
    summary.errors.timeout
  io.write(string.format("\nRESULT %d %d %d\n", summary.requests, summary.duration, bad))
end

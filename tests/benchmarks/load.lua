-- Unique requests for wrk. Arguments: kind, path, run, pause in ms, then header lines "name=value".
-- kind is a body below; run keeps one measurement's leads apart from another's; a pause makes half a load.
local kind, path, run, pause, count = "ingest", "/", 10, 0, 0
local headers = {["Content-Type"] = "application/json"}

-- Spread over all numbers, as people's are: side by side they would all fall into one page of an index.
local function spread(id)
  return id * 7919 % 10000000
end

local bodies = {
  ingest = function(id)
    local supplier = id % 4 + 1
    headers["x-api-key"] = "bench_key_" .. supplier
    return string.format('{"flo_campaign_id":"campaign_bench","flo_supplier_id":"supplier_%d","first_name":"John",' ..
      '"last_name":"Doe","phone":"2%02d%07d","email":"john.%d.%d@example.com","state":"TX","zip_code":"77001",' ..
      '"case_type":"auto","city":"Houston"}', supplier, run, spread(id), spread(id), run)
  end,
  ping = function(id)
    return string.format('{"transaction_id":"txn-%d-%d","state":"TX","zip_code":"77001","loan_amount":15000,' ..
      '"credit_score":"good","home_owner":true}', run, id)
  end,
  post = function(id)
    return string.format('{"transaction_id":"txn-%d-%d","state":"TX","zip_code":"77001","loan_amount":15000,' ..
      '"credit_score":"good","home_owner":true,"first_name":"John","last_name":"Doe",' ..
      '"email":"john.%d.%d@example.com","mobile":"2%02d%07d"}', run, id, spread(id), run, run, spread(id))
  end,
  put_item = function(id)
    return string.format('{"TableName":"leads","Item":{"id":{"S":"lead-%d-%d"},"first_name":{"S":"John"},' ..
      '"last_name":{"S":"Doe"},"phone":{"S":"2%02d%07d"},"state":{"S":"TX"}}}', run, id, run, spread(id))
  end,
}

function init(args)
  kind, path, run, pause = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  for index = 5, #args do
    local name, value = args[index]:match("^([^=]+)=(.*)$")
    headers[name] = value
  end
  if pause > 0 then
    -- Evenly drawn around the mean, so that connections do not march in step.
    delay = function() return math.random(0, math.floor(2 * pause + 0.5)) end
  end
end

function request()
  count = count + 1
  local body = bodies[kind](count)
  return wrk.format("POST", path, headers, body)
end

function done(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write +
    summary.errors.timeout
  io.write(string.format('\nRESULT {"requests":%d,"seconds":%.6f,"bad":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, bad, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

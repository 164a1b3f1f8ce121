-- Unique leads for wrk. Arguments: kind of request, path, header lines as name=value, run number, then delay in ms.
local kind, path, run, delay_ms = "ingest", "/", "0", 0
local headers = {["Content-Type"] = "application/json"}
local count, thread_number = 0, 0
local threads = 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

function init(args)
  kind, path, run, delay_ms = args[1], args[2], args[3], tonumber(args[4])
  for index = 5, #args do
    local name, value = args[index]:match("^([^=]+)=(.*)$")
    headers[name] = value
  end
end

-- Sends sentences of 8 to 36 tokens in turn, and counts answers that are not labels.
local texts = {
  "The battery lasts for days, and it charges while I make coffee.",
  "I waited forty minutes for a table and then the soup was cold.",
  "The parcel was delivered on Tuesday.",
  "A warm, funny story about a family that never stops talking, told with great care for every one of them.",
  "It stopped working after the second update, and nobody answers my mails.",
  "Not bad at all.",
  "The room was clean but the street was so loud that we hardly slept, so we would rather stay elsewhere next time.",
  "The meeting has been moved to the small room on the second floor.",
}
-- Global, so that `done` can read it.
wrong = 0
local next_text = 0

request = function()
  next_text = next_text % #texts + 1
  local body = '{"inputs": "' .. texts[next_text] .. '"}'
  return wrk.format("POST", "/predict", { ["Content-Type"] = "application/json" }, body)
end

response = function(status, _, body)
  if status ~= 200 or not body:find('^%[{"label":"%u+","score":') then
    wrong = wrong + 1
  end
end

local threads = {}
setup = function(thread)
  table.insert(threads, thread)
end

done = function(summary, latency)
  local errors = summary.errors
  local sum = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  for _, thread in ipairs(threads) do
    sum = sum + thread:get("wrong")
  end
  io.write(string.format("RESULT %.1f %.2f %.2f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, sum))
end

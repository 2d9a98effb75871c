-- Which of these builds, of which there are logs, are forgotten. One with a number that was never given is not told: then
-- it is Redis that has lost its memory, and the logs are all that is left.
-- ARGV: build... {build...}
local last = tonumber(call('GET', 'davit:seq:build') or 0)
local unknown = {}

for _, n in ipairs(ARGV) do
	if tonumber(n) <= last and call('EXISTS', 'davit:build:' .. n) == 0 then
		unknown[#unknown + 1] = n
	end
end
return unknown

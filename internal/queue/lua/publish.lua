-- publish.lua writes the record of a draw down. What was published stays: a record
-- replaces one of an earlier stage of the same draw, or one of another draw that is
-- not between its freezing and its end. No other draw begins once somebody has been let
-- in: what is drawn is below the front of a queue that has moved, as if all had had
-- their turn. A record goes with its cohort or not at all.
--
-- KEYS  1 draw  2 cohort  3 the cohort that goes with the record; cohort itself for none  4 room
-- ARGV  1 the draw's id  2 stage: 1 committed, 2 frozen, 3 drawn  3 record
-- reply {id, stage, record} as they are now
local got = redis.call('HMGET', KEYS[1], 'id', 'stage', 'record')
local stage = tonumber(got[2]) or 0
local same, new = got[1] == ARGV[1], tonumber(ARGV[2])
local room = redis.call('HMGET', KEYS[4], 'fronts', 'round')
local moved = (tonumber(room[2]) or 0) > 0
for _, front in ipairs(numbers(room[1])) do moved = moved or front > 0 end
local whole = KEYS[3] == KEYS[2] or redis.call('EXISTS', KEYS[3]) == 1
if whole and ((same and new > stage) or (not same and stage ~= 2 and (new == 3 or not moved))) then
	redis.call('HSET', KEYS[1], 'id', ARGV[1], 'stage', new, 'record', ARGV[3])
	if KEYS[3] ~= KEYS[2] then
		redis.call('UNLINK', KEYS[2])
		redis.call('RENAME', KEYS[3], KEYS[2])
		redis.call('PERSIST', KEYS[2])
	elseif not same then
		redis.call('UNLINK', KEYS[2])
	end
	return {ARGV[1], new, ARGV[3]}
end
-- A cohort that was lost alone, as by an eviction, is put back by an edge that has it.
if whole and same and new == stage and KEYS[3] ~= KEYS[2] and redis.call('EXISTS', KEYS[2]) == 0 then
	redis.call('RENAME', KEYS[3], KEYS[2])
	redis.call('PERSIST', KEYS[2])
end
return {got[1], stage, got[3]}

-- cleanup_expired, for one pool: forgets expired records. Settles nothing (TIME-2).
-- Rules: SWEEP-1, SWEEP-3
--
-- KEYS    as in pool.lua
-- ARGV    3 the most records to forget
-- Reply   how many records were forgotten

check_keys()
local limit = tonumber(ARGV[3])
local count, kept, earliest = 0, 0, nil
each_record(function(r)
    if r and is_expired(r) and count < limit then
        forget(r)
        count = count + 1
    else
        kept = kept + 1
        earliest = r and math.min(earliest or r.not_after, r.not_after) or earliest
    end
end)
if kept == 0 then
    redis.call('DEL', RECORDS, QUEUE, LAPSES, IDS)
    first_lapse_moved = true
    redis.call('ZREM', POOLS, POOL)
    redis.call('ZREM', POOLS_BY_EXPIRY, POOL)
else
    redis.call('ZADD', POOLS_BY_EXPIRY, earliest or '+inf', POOL)
end
return finish(count)

-- release_expired_reservations, for one pool: settles what has lapsed, in steps. What a step leaves is settled by the next
-- one, and meanwhile every other call sees it as settled, or settles it (TIME-2).
-- Rules: TIME-2, SWEEP-2, COST-1
--
-- KEYS    as in pool.lua
-- ARGV    3 the most leases and windows to settle
-- Reply   how many leases and windows were settled

return function(keys, arguments)
    begin(keys, arguments)
    local count = settle(tonumber(ARGV[3]))
    -- Whatever the index says, it says the truth from now on: if it were wrong, the pool would be due for ever.
    local first = redis.call('ZRANGE', LAPSES, 0, 0, 'WITHSCORES')[2]
    if first then
        redis.call('ZADD', POOLS_BY_LAPSE, first, POOL)
    else
        redis.call('ZREM', POOLS_BY_LAPSE, POOL)
    end
    return finish(count)
end

-- delete_pool: removes all records of a pool, of whatever type its keys are.
-- Rules: DEL-1
--
-- KEYS    as in pool.lua
-- Reply   nil

return function(keys, arguments)
    begin(keys, arguments)
    local indexes = {POOLS, POOLS_BY_EXPIRY, POOLS_BY_LAPSE}
    for _, index in ipairs(indexes) do
        redis.call('ZCARD', index)
    end
    redis.call('UNLINK', RECORDS, QUEUE, LAPSES, IDS, INIT_KEYS, TAKEN)
    for _, index in ipairs(indexes) do
        redis.call('ZREM', index, POOL)
    end
    return false
end

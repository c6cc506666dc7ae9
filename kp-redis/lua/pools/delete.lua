-- delete_pool: removes all records of a pool.
-- Rules: DEL-1
--
-- KEYS    as in pool.lua
-- Reply   nil

return function(keys, arguments)
    begin(keys, arguments)
    check_keys()
    redis.call('UNLINK', RECORDS, QUEUE, LAPSES, IDS, INIT_KEYS, TAKEN)
    for _, index in ipairs({POOLS, POOLS_BY_EXPIRY, POOLS_BY_LAPSE}) do
        redis.call('ZREM', index, POOL)
    end
    return false
end

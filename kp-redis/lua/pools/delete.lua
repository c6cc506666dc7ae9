-- delete_pool: the device is gone, and everything with it.
-- Rules: DEL-1
--
-- KEYS    as in pool.lua
-- Reply   nothing

check_keys()
redis.call('UNLINK', RECORDS, QUEUE, ENDS, IDS)
for _, index in ipairs({POOLS, EXPIRY, ENDING}) do
    redis.call('ZREM', index, POOL)
end
return false

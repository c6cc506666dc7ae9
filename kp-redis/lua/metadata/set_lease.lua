-- lease, release_lease: sets a lease on a client's storage, if the lease still is as it was read.
-- Rules: META-5. StorageLease has decided, in Rust, what the lease becomes.
--
-- KEYS    1 state  hash  lease:NAME -> a lease
-- ARGV    1 the field
--         2 the lease as it was read
--         3 the new lease; empty stands for no lease
-- Reply   1; 0 when the lease is not as it was read, and nothing was changed

return function(KEYS, ARGV)
    local STATE = KEYS[1]

    local found = redis.call('HGET', STATE, ARGV[1])
    if found == '' or (found or '') ~= ARGV[2] then
        return 0
    end
    if ARGV[3] ~= '' then
        redis.call('HSET', STATE, ARGV[1], ARGV[3])
    else
        -- A replica refuses this, so that a demoted master answers nothing from what it last knew.
        redis.call('HDEL', STATE, '')
    end
    return 1
end

-- import_pool: stores all records of a pool that holds none.
-- Rules: MOVE-2
--
-- KEYS    as in pool.lua
-- ARGV    3 for each record, unspent ones by sequence: ref, ciphersuite, not_before, not_after, last resort (0 or 1),
--         credential, then as export.lua replies from the state on to the fingerprint
-- Reply   1, or 0 for a pool that is not empty

local FIELDS = 19

return function(keys, arguments)
    begin(keys, arguments)
    check_keys()
    local last = redis.call('HGET', RECORDS, '')
    if redis.call('HLEN', RECORDS) > (last and 1 or 0) then
        return finish(0)
    end

    local sequence, earliest = tonumber(last or 0), math.huge
    for at = 3, #ARGV, FIELDS do
        local field = function(place) return ARGV[at + place - 1] end
        local marked, half = field(15) == '1', tonumber(field(16))
        local state = field(7)
        sequence = sequence + 1
        local r = {
            ref = field(1), suite = tonumber(field(2)), not_before = tonumber(field(3)), not_after = tonumber(field(4)),
            last = field(5) == '1', credential = field(6), state = state, saved_at = tonumber(field(8)), at = tonumber(field(9)),
            expires_at = tonumber(field(10)), id = field(11), by = field(12), group = field(13), reserver = field(14),
            retire = marked, used = marked, bound = marked, recalled = half, window = half, bytes = field(17), support = field(18),
            init_key = field(19), sequence = sequence,
        }
        r.head = struct.pack('>I2I7I7c32', r.suite, r.not_before, r.not_after, r.credential)
        put(nil, r)
        add_init_key(r)
        earliest = math.min(earliest, r.not_after)
    end
    redis.call('HSET', RECORDS, '', sequence)
    redis.call('ZADD', POOLS, 0, POOL)
    redis.call('ZADD', POOLS_BY_EXPIRY, earliest, POOL)
    return finish(1)
end

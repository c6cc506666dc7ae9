-- repair_pool: makes all that follows from the records of a pool anew. A free package whose place in the queue is lost goes to its
-- end, unless a reservation is bound to it: then what took it is lost, and it stays out of the queue. An entry of TAKEN without a
-- record F is removed, and so is a pool that has no record. One with a key of another type is listed, so that it can be deleted.
-- Rules: READ-5, RES-2, SWEEP-1, SWEEP-2, RES-5, SAVE-9
--
-- KEYS    as in pool.lua
-- Reply   how many records the pool has, as far as they can be read

return function(keys, arguments)
    begin(keys, arguments)
    if keys_of_another_type() > 0 then
        redis.call('ZADD', POOLS, 0, POOL)
        return finish(0)
    end
    check_keys()
    local places = table_of(redis.call('ZRANGE', QUEUE, 0, -1, 'WITHSCORES'))
    local bound = {}
    for id, ref in pairs(table_of(redis.call('HGETALL', IDS))) do
        bound[ref] = id
    end
    local last = tonumber(redis.call('HGET', RECORDS, '') or 0) or 0
    local count, earliest, records, lost, held, used = 0, math.huge, {}, {}, {}, {}
    each_record(function(r)
        count = count + 1
        if not r then
            return
        end
        earliest = math.min(earliest, r.not_after)
        local place = sequence_at(places[r.ref])
        if is_queued(r) and place and not used[place] then
            r.sequence, used[place] = place, true
        end
        last = math.max(last, r.sequence or 0)
        if not is_queued(r) or r.sequence then
            records[#records + 1] = r
        elseif bound[r.ref] then
            held[#held + 1] = r
        else
            lost[#lost + 1] = r
        end
    end)
    table.sort(lost, function(a, b) return saved_at(a) < saved_at(b) end)
    for _, r in ipairs(lost) do
        last = last + 1
        r.sequence = last
        records[#records + 1] = r
    end

    for ref in pairs(table_of(redis.call('HGETALL', TAKEN))) do
        if not is_of_free(redis.call('HGET', RECORDS, ref)) then
            redis.call('HDEL', TAKEN, ref)
        end
    end
    redis.call('UNLINK', QUEUE, LAPSES, IDS, INIT_KEYS)
    redis.call('ZREM', POOLS_BY_LAPSE, POOL)
    for _, r in ipairs(records) do
        put(nil, r)
        add_init_key(r)
    end
    for _, r in ipairs(held) do
        redis.call('HSET', IDS, bound[r.ref], r.ref)
        add_init_key(r)
    end
    if count > 0 then
        redis.call('HSET', RECORDS, '', last)
        redis.call('ZADD', POOLS, 0, POOL)
        redis.call('ZADD', POOLS_BY_EXPIRY, earliest < math.huge and earliest or '+inf', POOL)
    else
        redis.call('UNLINK', RECORDS)
        redis.call('ZREM', POOLS, POOL)
        redis.call('ZREM', POOLS_BY_EXPIRY, POOL)
    end
    return finish(count)
end

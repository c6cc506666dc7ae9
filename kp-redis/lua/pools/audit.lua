-- audit_pool: counts what is wrong with what follows from the records of a pool.
-- Rules: READ-5, RES-2, SWEEP-1, SWEEP-2, RES-5, SAVE-9
--
-- KEYS    as in pool.lua
-- Reply   how many keys hold a value of another type: then nothing else is looked at, but whether the pool is listed;
--         how many records cannot be read; whether the pool is not listed as it is; whether a sequence would be given out again;
--         whether the pool would be swept too late; how many leases and windows would be settled too late; how many places in the
--         queue, bindings and fingerprints are wrong; and how many leases and windows have no record that is taken

local function size(found)
    local count = 0
    for _ in pairs(found) do
        count = count + 1
    end
    return count
end

return function(keys, arguments)
    begin(keys, arguments)
    local others = keys_of_another_type()
    if others > 0 then
        return {others, 0, redis.call('ZSCORE', POOLS, POOL) and 0 or 1, 0, 0, 0, 0, 0, 0, 0}
    end

    -- What is right is removed from these; what is left is wrong.
    local places = table_of(redis.call('ZRANGE', QUEUE, 0, -1, 'WITHSCORES'))
    local lapses = table_of(redis.call('ZRANGE', LAPSES, 0, -1, 'WITHSCORES'))
    local ids = table_of(redis.call('HGETALL', IDS))
    local entries = {}
    for field, bucket in pairs(table_of(redis.call('HGETALL', INIT_KEYS))) do
        for at = 1, #bucket, ENTRY do
            local entry = field .. string.sub(bucket, at, at + ENTRY - 1)
            entries[entry] = (entries[entry] or 0) + 1
        end
    end

    local is_there = next(places) or next(lapses) or next(ids) or next(entries)
        or redis.call('HLEN', RECORDS) + redis.call('HLEN', TAKEN) > 0

    local hint, hidden, skips_until = ids[''], 0, 0
    ids[''] = nil
    if hint and #hint == HINT_LENGTH then
        hidden, skips_until = struct.unpack(HINT, hint)
    end

    local records, unreadable, missing, astray, highest = 0, 0, {queue = 0, lapse = 0, id = 0, init_key = 0}, 0, 0
    local earliest, first, used = math.huge, math.huge, {}
    each_record(function(r)
        records = records + 1
        if not r then
            unreadable = unreadable + 1
            return
        end
        earliest = math.min(earliest, r.not_after)
        local place, is_slot = sequence_at(places[r.ref])
        highest = math.max(highest, r.sequence or 0, place or 0)
        if is_queued(r) then
            if not place or is_slot ~= (r.state == 'S') then
                missing.queue = missing.queue + 1
            elseif used[place] or r.state == 'F' and place <= hidden and r.not_after > skips_until then
                astray = astray + 1
            end
            places[r.ref] = nil
            used[place or 0] = true
        end
        local lapse = lapses_at(r)
        if lapse then
            first = math.min(first, lapse)
            missing.lapse = missing.lapse + (tonumber(lapses[r.ref] or -1) == lapse and 0 or 1)
            lapses[r.ref] = nil
        end
        if is_bound(r) then
            missing.id = missing.id + (ids[r.id] == r.ref and 0 or 1)
            ids[r.id] = nil
        end
        local init_key = init_key_of(r)
        if init_key ~= '' then
            local entry = string.char(string.byte(init_key) % 128) .. struct.pack('>c8I7', init_key, r.not_after)
            local count = entries[entry] or 0
            missing.init_key = missing.init_key + (count > 0 and 0 or 1)
            entries[entry] = count > 1 and count - 1 or nil
        end
    end)

    -- Under any record but F, what TAKEN has is damage. What is beside a record that cannot be read is left to it.
    local stray = 0
    for ref in pairs(table_of(redis.call('HGETALL', TAKEN))) do
        if not is_of_free(redis.call('HGET', RECORDS, ref)) then
            stray = stray + 1
        end
    end

    local function score(index)
        local found = redis.call('ZSCORE', index, POOL)
        return found and tonumber(found)
    end

    local listed, swept, settled = score(POOLS), score(POOLS_BY_EXPIRY), score(POOLS_BY_LAPSE)
    -- READ-5: a pool with a record is listed. Of one without, nothing is there.
    local is_listed_as_it_is = records > 0 and listed or records == 0 and not (is_there or listed or swept or settled)
    local last = tonumber(redis.call('HGET', RECORDS, '') or 0) or 0
    return {
        0,
        unreadable,
        is_listed_as_it_is and 0 or 1,
        last < highest and 1 or 0,
        (records > 0 and (swept or math.huge) > earliest or records == 0 and swept) and 1 or 0,
        missing.lapse + size(lapses) + (first < (settled or math.huge) and 1 or 0),
        missing.queue + size(places) + astray,
        missing.id + size(ids),
        missing.init_key + size(entries),
        stray,
    }
end

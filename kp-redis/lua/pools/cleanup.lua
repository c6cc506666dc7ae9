-- cleanup_expired, for one pool: forgets expired records, in steps of a pass over all records. Settles nothing (TIME-2).
-- Rules: SWEEP-1, SWEEP-3, COST-1
--
-- A step reads a page of records, and no more. What it must know of the steps before, it told its caller, who hands it back.
--
-- KEYS    as in pool.lua
-- ARGV    3 the most records to forget
--         4 how many records a page has, about
--         5 the pass: cursor, the earliest not_after of the records kept, the sequence at the first step, and the score of
--           the pool among the pools by expiry at the first step; only the cursor 0, when the pass begins
-- Reply   how many records were forgotten, whether the pool is due all the same (0 or 1), then the pass; with the cursor 0
--         when it has ended

-- Where not_after begins in a record, and where it ends: see FACTS.
local NOT_AFTER, END = 12, 18

return function(keys, arguments)
    begin(keys, arguments)
    local limit, size, cursor, earliest = tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])

    check_keys()
    local sequence, due = redis.call('HGET', RECORDS, '') or '', redis.call('ZSCORE', POOLS_BY_EXPIRY, POOL) or ''
    local same = cursor == '0' or (sequence == ARGV[7] and due == ARGV[8])
    if cursor ~= '0' then
        sequence, due = ARGV[7], ARGV[8]
    end

    local count, cut, seen = 0, false, {}
    local next_cursor, page = unpack(redis.call('HSCAN', RECORDS, cursor, 'COUNT', size))
    for at = 1, #page, 2 do
        local ref, value = page[at], page[at + 1]
        -- A page may show a record twice.
        if ref ~= '' and not seen[ref] and #value >= END then
            seen[ref] = true
            local not_after = struct.unpack('>I7', value, NOT_AFTER)
            if not_after > NOW then
                earliest = math.min(earliest or not_after, not_after)
            else
                local r = peek(ref, value, taken_part(ref, value))
                if r and count < limit then
                    forget(r)
                    count = count + 1
                elseif r then
                    cut = true -- The limit is reached within the page, so the page is read again.
                end
            end
        end
    end
    if cut then
        return finish({count, 1, cursor, earliest or '', sequence, due})
    end

    local still_due = 0
    if next_cursor == '0' then
        if redis.call('HLEN', RECORDS) == (redis.call('HGET', RECORDS, '') and 1 or 0) then
            redis.call('DEL', RECORDS, QUEUE, LAPSES, IDS, INIT_KEYS, TAKEN)
            changed_buckets = {}
            for _, index in ipairs({POOLS, POOLS_BY_EXPIRY, POOLS_BY_LAPSE}) do
                redis.call('ZREM', index, POOL)
            end
        elseif same then
            redis.call('ZADD', POOLS_BY_EXPIRY, earliest or '+inf', POOL)
        else
            -- Records were saved since the pass began, which it may not have shown. Or another sweep was here, or the pool is
            -- another one. Its score stays, which is that of its earliest record or before.
            local score = redis.call('ZSCORE', POOLS_BY_EXPIRY, POOL)
            still_due = score and tonumber(score) <= NOW and 1 or 0
        end
    end
    return finish({count, still_due, next_cursor, earliest or '', sequence, due})
end

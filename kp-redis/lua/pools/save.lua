-- save_key_packages: stores packages of one client.
-- Rules: TIME-2, SAVE-1 to SAVE-9, LAST-1 to LAST-4
--
-- KEYS    as in pool.lua
-- ARGV    3 mode: append, replace or amend
--         4 cap for each ciphersuite
--         5 max_records
--         6 the most last-resort slots
--         7 for each package: ref, ciphersuite, not_before, not_after, last resort (0 or 1), credential, package, support or
--           '', fingerprint of the init key or ''
-- Reply   for each package: ok, the name of its outcome

return function(keys, arguments)
    begin(keys, arguments)
    check_keys()

    local replace, amend = ARGV[3] == 'replace', ARGV[3] == 'amend'
    local cap, max_records, max_slots = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

    -- SAVE-1: a damaged record fails the call before anything is stored.
    local absent = absent_among(7, 9)
    local sequence = tonumber(redis.call('HGET', RECORDS, '') or 0)
    if not absent or not sequence then
        return {{'unreadable'}}
    end

    local items, in_batch = {}, {}
    for at = 7, #ARGV, 9 do
        items[#items + 1] = {
            ref = ARGV[at], suite = tonumber(ARGV[at + 1]), not_before = tonumber(ARGV[at + 2]),
            not_after = tonumber(ARGV[at + 3]), last = ARGV[at + 4] == '1', credential = ARGV[at + 5],
            bytes = ARGV[at + 6], support = ARGV[at + 7], init_key = ARGV[at + 8],
        }
        in_batch[ARGV[at]] = true
    end

    -- Returns whether a ciphersuite holds as many packages as it may (SAVE-6). Under replace, packages that are not in the
    -- batch do not count (SAVE-8). Counts only when queue and leases together reach the cap.
    local held, listed = {}, nil
    local function is_suite_full(suite)
        if not held[suite] then
            listed = listed or redis.call('ZCARD', QUEUE) + redis.call('ZCARD', LAPSES)
            if listed < cap then
                return false
            end
            held[suite] = 0
            for _, r in ipairs(unspent()) do
                local counts = r.state == 'F' or r.recalled == 0
                if r.suite == suite and counts and (not replace or in_batch[r.ref]) then
                    held[suite] = held[suite] + 1
                end
            end
        end
        return held[suite] >= cap
    end

    -- Returns whether the pool remembers as many unexpired packages of this role as it may (SAVE-6). Counts only when the
    -- pool has that many records, of both roles and expired ones included.
    local records, remembered = redis.call('HLEN', RECORDS), nil
    local function is_memory_full(last)
        if records < max_records then
            return false
        end
        if not remembered then
            remembered = {[true] = 0, [false] = 0}
            each_record(function(r)
                if r and not is_expired(r) then
                    remembered[r.last] = remembered[r.last] + 1
                end
            end)
        end
        return remembered[last] >= max_records
    end

    -- Returns whether the pool has no room for the item (SAVE-6), or takes nothing new (SAVE-5).
    local function is_full(item)
        if amend or is_memory_full(item.last) then
            return true
        elseif item.last then
            local others = 0
            for _, slot in ipairs(slots()) do
                if not is_expired(slot) and slot.suite ~= item.suite then
                    others = others + 1
                end
            end
            return others >= max_slots
        end
        return is_suite_full(item.suite)
    end

    -- Adds to a record the support and the fingerprint that it lacks (SAVE-5).
    local function complete(r, item)
        local support, init_key = support_of(r), init_key_of(r)
        if (support ~= '' or item.support == '') and (init_key ~= '' or item.init_key == '') then
            return
        end
        local after = become(r, {
            support = support ~= '' and support or item.support, init_key = init_key ~= '' and init_key or item.init_key,
        })
        redis.call('HSET', RECORDS, r.ref, pack(after))
        if init_key == '' then
            add_init_key(after)
        end
    end

    -- Returns the outcome of a ref that has an unexpired record: SAVE-3, SAVE-5, SAVE-2, in this order.
    local function again(r, item)
        if not (is_queued(r) or (r.state == 'R' and r.recalled == 0)) then
            return 'already_spent'
        elseif r.suite == item.suite and r.not_before == item.not_before and r.not_after == item.not_after
            and r.last == item.last and credential_of(r) == item.credential and package_of(r) == item.bytes then
            complete(r, item)
            return 'already_stored' -- LAST-4: the slot stays used, or unused
        end
        return 'ref_conflict' -- LAST-3: the role is a fact as well
    end

    local accepted, any_accepted, earliest = {}, false, nil
    local function accept(suite)
        accepted[suite], any_accepted = true, true
    end

    local function insert(item)
        sequence = sequence + 1
        item.saved_at, item.sequence = NOW, sequence
        item.head = struct.pack('>I2I7I7c32', item.suite, item.not_before, item.not_after, item.credential)
        if item.last then
            -- LAST-1: the record of the replaced package stays, also when it is expired.
            for _, slot in ipairs(slots()) do
                if slot.suite == item.suite then
                    put(slot, become(slot, {state = 'P', at = NOW}))
                end
            end
            item.state, item.used = 'S', false
        else
            accept(item.suite)
            held[item.suite] = held[item.suite] and held[item.suite] + 1
            item.state = 'F'
        end
        put(nil, item)
        add_init_key(item)
        absent[item.ref] = nil
        records, listed = records + 1, listed and listed + 1
        if remembered then
            remembered[item.last] = remembered[item.last] + 1
        end
        earliest = math.min(earliest or item.not_after, item.not_after)
    end

    -- Saves one item, and returns the first outcome that applies (SAVE-7).
    local function judge(item)
        if is_expired(item) then
            return 'expired' -- SAVE-4
        end
        local found = not absent[item.ref] and load(item.ref)
        if found and not is_expired(found) then
            local outcome = again(found, item)
            if outcome == 'already_stored' and not item.last then
                accept(item.suite)
            end
            return outcome
        elseif item.init_key ~= '' and has_init_key(item.init_key) then
            return 'init_key_reused' -- SAVE-9
        elseif item.last and NOW < item.not_before then
            return 'not_yet_valid' -- LAST-2
        elseif is_full(item) then
            return 'pool_full'
        end
        if found then
            forget(found) -- SAVE-7: an expired record counts as absent
        end
        insert(item)
        return 'saved'
    end

    settle()
    local outcomes = {}
    for index, item in ipairs(items) do
        outcomes[index] = {'ok', judge(item)}
    end
    -- SAVE-8: withdraws the packages that the batch replaces.
    if replace and any_accepted then
        for _, r in ipairs(unspent()) do
            if accepted[r.suite] and not in_batch[r.ref] then
                recall(r, WITHDRAWN)
            end
        end
    end
    if earliest then
        redis.call('HSET', RECORDS, '', sequence)
        redis.call('ZADD', POOLS, 0, POOL)
        redis.call('ZADD', POOLS_BY_EXPIRY, 'LT', earliest, POOL)
    end
    return finish(outcomes)
end

-- withdraw_key_packages: withdraws packages of one pool for their owner.
-- Rules: TIME-2, DEL-3
--
-- KEYS    as in pool.lua
-- ARGV    3 refs or all
--         4 the refs
-- Reply   for each package: ok, ref, outcome (withdrawn, already_spent, not_found)

return function(keys, arguments)
    begin(keys, arguments)
    check_keys()
    if not absent_among(4, 1) then
        return {{'unreadable'}}
    end

    settle()
    local replies = {}
    local function withdraw(r)
        recall(r, WITHDRAWN)
        replies[#replies + 1] = {'ok', r.ref, 'withdrawn'}
    end

    if ARGV[3] == 'all' then
        -- One-time packages in the order of the queue, then last-resort packages by ciphersuite.
        local last = {}
        for _, slot in ipairs(slots()) do
            if not is_expired(slot) then
                last[#last + 1] = slot
            end
        end
        table.sort(last, function(a, b) return a.suite < b.suite end)
        for _, r in ipairs(unspent()) do
            withdraw(r)
        end
        for _, r in ipairs(last) do
            withdraw(r)
        end
        return finish(replies)
    end

    for at = 4, #ARGV do
        local r = load(ARGV[at])
        if not r or is_expired(r) then
            replies[#replies + 1] = {'ok', ARGV[at], 'not_found'}
        elseif r.state == 'U' or r.state == 'T' or r.state == 'P' then
            replies[#replies + 1] = {'ok', r.ref, 'already_spent'}
        elseif r.state == 'W' then
            replies[#replies + 1] = {'ok', r.ref, 'withdrawn'}
        else
            withdraw(r)
        end
    end
    return finish(replies)
end

-- list_ready: lists all that could be handed out now: one-time packages in the order of the queue, then the last-resort
-- packages in their slots, the oldest saved first.
-- Rules: READ-1, READ-2, LAST-2, TIME-2
--
-- KEYS    as in pool.lua
-- Reply   for each: its facts, then when it was first saved

return function(keys, arguments)
    begin(keys, arguments)
    local found = {}
    local function add(r)
        if status(r) == 'available' then
            found[#found + 1] = r
        end
    end

    each_free(0, add)
    -- Leases that have lapsed, but were not settled yet: settling would return the package to the queue.
    for _, r in ipairs(read_all(redis.call('ZRANGEBYSCORE', LAPSES, '-inf', ARGV[2]))) do
        add(as_read(r))
    end
    table.sort(found, function(a, b) return a.sequence < b.sequence end)
    for _, r in ipairs(slots()) do
        if not is_expired(r) then
            found[#found + 1] = r
        end
    end

    local reply = {}
    for index, r in ipairs(found) do
        reply[index] = facts(r)
        table.insert(reply[index], saved_at(r))
    end
    return reply
end

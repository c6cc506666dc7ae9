-- list_available: lists the one-time packages that reserve could hand out now, in the order of the queue.
-- Rules: READ-1, READ-2, TIME-2
--
-- KEYS    as in pool.lua
-- ARGV    3 the sequence behind which to begin
--         4 the most packages to list
-- Reply   whether more follow (0 or 1), the sequence of the last package listed, then the facts of each

return function(keys, arguments)
    begin(keys, arguments)
    local after, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
    local found = {}
    local function show(r)
        if status(r) == 'available' then
            found[#found + 1] = r
        end
        return #found > limit
    end

    each_free(after, show)
    -- Leases that have lapsed, but were not settled yet: settling would return the package to the queue.
    for _, r in ipairs(read_all(redis.call('ZRANGEBYSCORE', LAPSES, '-inf', ARGV[2]))) do
        local free = as_read(r)
        if free.state == 'F' and free.sequence > after and status(free) == 'available' then
            found[#found + 1] = free
        end
    end
    table.sort(found, function(a, b) return a.sequence < b.sequence end)

    local reply = {#found > limit and 1 or 0, 0}
    for index = 1, math.min(#found, limit) do
        reply[2] = found[index].sequence
        reply[index + 2] = facts(found[index])
    end
    return reply
end

-- count_by_status: counts the packages of each ciphersuite and status, in one snapshot.
-- Rules: READ-1, READ-3, TIME-2
--
-- KEYS    as in pool.lua
-- Reply   for each ciphersuite: its number, available, reserved, spent, not yet valid, expired, last-resort slot
--         (-1 empty, 0 unused, 1 used), reserved and recalled, spent last-resort packages

local PLACES = {available = 2, reserved = 3, spent = 4, not_yet_valid = 5, expired = 6}

return function(keys, arguments)
    begin(keys, arguments)
    local suites, replies = {}, {}
    each_record(function(r)
        if r then
            local counts = suites[r.suite]
            if not counts then
                counts = {r.suite, 0, 0, 0, 0, 0, -1, 0, 0}
                suites[r.suite] = counts
                replies[#replies + 1] = counts
            end
            local read = as_read(r)
            local where, used = status(read)
            if where == 'last_resort' then
                counts[7] = used
            else
                counts[PLACES[where]] = counts[PLACES[where]] + 1
                if where == 'reserved' and read.recalled > 0 then
                    counts[8] = counts[8] + 1
                elseif where == 'spent' and read.last then
                    counts[9] = counts[9] + 1
                end
            end
        end
    end)
    return replies
end

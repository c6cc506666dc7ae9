-- retire_unspent, for one pool: retires what a restored backup may wrongly take for unspent.
-- Rules: TIME-2, DEL-2
--
-- KEYS    as in pool.lua
-- ARGV    3 saved_before
-- Reply   how many packages were retired, newly recalled or newly marked as used

return function(keys, arguments)
    begin(keys, arguments)
    local saved_before = tonumber(ARGV[3])

    check_keys()
    settle()
    local count = 0
    for _, r in ipairs(unspent()) do
        if saved_at(r) < saved_before and (r.state == 'F' or r.recalled == 0) then
            recall(r, RETIRED)
            count = count + 1
        end
    end
    for _, slot in ipairs(slots()) do
        if saved_at(slot) < saved_before and not is_expired(slot) and not slot.used then
            put(slot, become(slot, {used = true}))
            count = count + 1
        end
    end
    return finish(count)
end

-- Finds the unspent packages of a pool, and recalls them. Follows changes.lua and queue.lua.

-- Reads the refs that begin at the argument `first`, `step` apart. Returns the set of refs without a record; nil when
-- any record is damaged. Called before the first write.
local function absent_among(first, step)
    local refs, absent = {}, {}
    for at = first, #ARGV, step do
        refs[#refs + 1] = ARGV[at]
    end
    for start = 1, #refs, 1000 do
        local page = {unpack(refs, start, math.min(start + 999, #refs))}
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(page))) do
            if not value then
                absent[page[index]] = true
            elseif not pcall(parse, page[index], value) then
                return nil
            end
        end
    end
    return absent
end

-- Returns the one-time packages that are free or leased, and not expired, by sequence.
local function unspent()
    local found = {}
    each_free(0, function(r)
        found[#found + 1] = r
    end)
    for _, r in ipairs(read_all(redis.call('ZRANGE', LAPSES, 0, -1))) do
        if r.state == 'R' and not is_expired(r) then
            found[#found + 1] = r
        end
    end
    table.sort(found, function(a, b) return a.sequence < b.sequence end)
    return found
end

-- Withdraws or retires an unspent package (DEL-2, DEL-3, SAVE-8). A free package or a slot is spent at once; a leased
-- package is marked as recalled. A withdrawal outranks a retirement.
local function recall(r, why)
    if r.state ~= 'R' then
        put(r, become(r, {state = why == WITHDRAWN and 'W' or 'T', at = NOW}))
    elseif why > r.recalled then
        put(r, become(r, {recalled = why}))
    end
end

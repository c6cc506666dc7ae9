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
        local taken = redis.call('HMGET', TAKEN, unpack(page))
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(page))) do
            if not value then
                absent[page[index]] = true
            elseif not pcall(parse, page[index], value, taken[index]) then
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
    local free = #found
    for _, r in ipairs(read_all(redis.call('ZRANGE', LAPSES, 0, -1))) do
        if r.state == 'R' and not is_expired(r) then
            found[#found + 1] = r
        end
    end
    if #found > free then -- The free ones are in order.
        table.sort(found, function(a, b) return a.sequence < b.sequence end)
    end
    return found
end

-- The free packages that are recalled, and their new records: written together at the end, which halves the time that a
-- large pool takes (COST-1).
local leaving, written

local begin_script = begin
local function begin(keys, arguments)
    begin_script(keys, arguments)
    leaving, written = {}, {}
end

-- Withdraws or retires an unspent package (DEL-2, DEL-3, SAVE-8). A free package or a slot is spent at once; a leased
-- package is marked as recalled. A withdrawal outranks a retirement.
local function recall(r, why)
    if r.state == 'R' then
        if why > r.recalled then
            put(r, become(r, {recalled = why}))
        end
        return
    end
    local after = become(r, {state = why == WITHDRAWN and 'W' or 'T', at = NOW})
    if r.state ~= 'F' then
        put(r, after)
        return
    end
    leaving[#leaving + 1] = r.ref
    written[#written + 1] = r.ref
    written[#written + 1] = pack(after)
end

-- Writes what is left to write, then ends as every script does.
local finish_script = finish
local function finish(reply)
    for first = 1, #leaving, 500 do
        local last = math.min(first + 499, #leaving)
        redis.call('ZREM', QUEUE, unpack(leaving, first, last))
        redis.call('HSET', RECORDS, unpack(written, 2 * first - 1, 2 * last))
    end
    return finish_script(reply)
end

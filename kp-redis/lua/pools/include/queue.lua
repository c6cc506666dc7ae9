-- What can be handed out, in its order. Stands behind pool.lua where it is looked through.

-- The records of these refs, those that can be read.
local function read_all(refs)
    local found = {}
    for first = 1, #refs, 1000 do
        local page = {unpack(refs, first, math.min(first + 999, #refs))}
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(page))) do
            found[#found + 1] = peek(page[index], value)
        end
    end
    return found
end

-- RES-2: calls `visit` with the free packages behind this place that are not past their not_after, the oldest first,
-- until it returns true. Returns how many before the first of them are over and were not known to be, and what OVER is to
-- say of them.
local function walk_free(after, visit)
    local size, found = 1, false -- The oldest is mostly the one.
    local over, place, latest = 0, 0, 0
    while true do
        local behind = string.format('(%.0f', after)
        local page = redis.call('ZRANGEBYSCORE', QUEUE, behind, '+inf', 'WITHSCORES', 'LIMIT', 0, size)
        if #page == 0 then
            return over, place, latest
        end
        local refs = {}
        for index = 1, #page, 2 do
            refs[#refs + 1] = page[index]
        end
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(refs))) do
            local r = peek(refs[index], value)
            if r and r.state == 'F' then
                r.sequence = tonumber(page[2 * index])
                if not is_over(r) then
                    found = true
                    if visit(r) then
                        return over, place, latest
                    end
                elseif not found then
                    over, place, latest = over + 1, r.sequence, math.max(latest, r.not_after)
                end
            end
        end
        after = tonumber(page[#page])
        local known = size == 1 and over == 1 and redis.call('HGET', IDS, '')
        size = math.min(8 * size, 512)
        if known and #known == OVER_LENGTH then
            local known_place, known_latest = struct.unpack(OVER, known)
            if after < known_place and known_latest <= NOW then
                over, after, latest, size = 0, known_place, known_latest, 1
            end
        end
    end
end

-- The last-resort packages in their slots, the oldest saved first.
local function slots()
    local found = {}
    for _, r in ipairs(read_all(redis.call('ZREVRANGEBYSCORE', QUEUE, '(0', '-inf'))) do
        if r.state == 'S' then
            found[#found + 1] = r
        end
    end
    return found
end

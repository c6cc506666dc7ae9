-- Scans the queue of a pool in its order. Follows pool.lua.

-- Returns the oldest free package; nil when it is expired, or cannot be read, or there is none.
local function oldest()
    local page = redis.call('ZRANGEBYSCORE', QUEUE, '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local ref = page[1]
    local r = ref and peek(ref, redis.call('HGET', RECORDS, ref))
    if r and r.state == 'F' and not is_expired(r) then
        r.sequence = tonumber(page[2])
        return r
    end
end

-- Calls `visit` with the free, unexpired packages behind the place `after`, the oldest first (RES-2), until `visit`
-- returns true. Returns what a new hint records: how many expired packages the scan read before the first unexpired
-- package, the place of the last of these, and their latest not_after.
local function each_free(after, visit)
    local size, found = 1, false -- Mostly the oldest package fits, so the first page is one package.
    local skipped, place, latest = 0, 0, 0
    while true do
        local behind = string.format('(%.0f', after)
        local page = redis.call('ZRANGEBYSCORE', QUEUE, behind, '+inf', 'WITHSCORES', 'LIMIT', 0, size)
        if #page == 0 then
            return skipped, place, latest
        end
        local refs = {}
        for index = 1, #page, 2 do
            refs[#refs + 1] = page[index]
        end
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(refs))) do
            local r = peek(refs[index], value)
            if r and r.state == 'F' then
                r.sequence = tonumber(page[2 * index])
                if not is_expired(r) then
                    found = true
                    if visit(r) then
                        return skipped, place, latest
                    end
                elseif not found then
                    skipped, place, latest = skipped + 1, r.sequence, math.max(latest, r.not_after)
                end
            end
        end
        after = tonumber(page[#page])
        local hint = size == 1 and skipped == 1 and redis.call('HGET', IDS, '')
        size = math.min(8 * size, 512)
        if hint and #hint == HINT_LENGTH then
            local hint_place, hint_latest = struct.unpack(HINT, hint)
            if after < hint_place and hint_latest <= NOW then
                skipped, after, latest, size = 0, hint_place, hint_latest, 1
            end
        end
    end
end

-- Returns the last-resort packages in their slots, the oldest saved first.
local function slots()
    local found = {}
    for _, r in ipairs(read_all(redis.call('ZREVRANGEBYSCORE', QUEUE, '(0', '-inf'))) do
        if r.state == 'S' then
            found[#found + 1] = r
        end
    end
    return found
end

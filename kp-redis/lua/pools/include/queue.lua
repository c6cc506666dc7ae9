-- Scans the queue of a pool in its order. Follows pool.lua.

-- Returns the bound of what lies behind a place.
local function behind(place)
    return string.format('(%.0f', place)
end

-- Returns the place up to which the hint says that all has expired, and their latest not_after; nil when there is no hint for
-- now that leads behind the place `after`.
local function hinted(after)
    local hint = redis.call('HGET', IDS, '')
    if hint and #hint == HINT_LENGTH then
        local place, latest = struct.unpack(HINT, hint)
        if after < place and latest <= NOW then
            return place, latest
        end
    end
end

-- Returns the first free package from this bound on; nil when it cannot be read, or there is none.
local function first_free(bound)
    local page = redis.call('ZRANGEBYSCORE', QUEUE, bound, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local ref = page[1]
    local r = ref and peek(ref, redis.call('HGET', RECORDS, ref))
    if r and r.state == 'F' then
        r.sequence = tonumber(page[2])
        return r
    end
end

-- Returns the oldest free package, or the first behind the hint; nil when it is expired, or cannot be read, or there is none.
local function oldest()
    local r = first_free('(0')
    local place = r and is_expired(r) and hinted(r.sequence)
    if place then
        r = first_free(behind(place))
    end
    if r and not is_expired(r) then
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
        local page = redis.call('ZRANGEBYSCORE', QUEUE, behind(after), '+inf', 'WITHSCORES', 'LIMIT', 0, size)
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
        local hint, hint_latest
        if size == 1 and skipped == 1 then
            hint, hint_latest = hinted(after)
        end
        size = math.min(8 * size, 512)
        if hint then
            skipped, after, latest, size = 0, hint, hint_latest, 1
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

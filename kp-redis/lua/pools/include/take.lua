-- What reserve and claim share: the request, the binding of its id, the choice, and the reply. Stands before them, behind
-- changes.lua and queue.lua.
--
-- ARGV of a request
--   id, ttl, least lifetime left, ref wanted or '', last resort (never, fallback, only), by or '', limit or '',
--   number of ciphersuites accepted, the ciphersuites

-- Answers the requests that begin at this argument.
local function each_take(first, judge)
    local replies, at = {}, first
    while at <= #ARGV do
        local take = {
            id = ARGV[at], ttl = tonumber(ARGV[at + 1]), remaining = tonumber(ARGV[at + 2]), only = ARGV[at + 3],
            last_resort = ARGV[at + 4], by = ARGV[at + 5], limit = tonumber(ARGV[at + 6]), suites = nil,
        }
        local count = tonumber(ARGV[at + 7])
        if count > 0 then
            take.suites = {}
            for index = at + 8, at + 7 + count do
                take.suites[tonumber(ARGV[index])] = true
            end
        end
        at = at + 8 + count
        replies[#replies + 1] = answer(judge, take)
    end
    return replies
end

-- TIME-1
local function is_valid(r)
    return r.not_before <= NOW and NOW < r.not_after
end

-- RES-3
local function fits(r, take)
    return is_valid(r) and (not take.suites or take.suites[r.suite]) and r.not_after - NOW >= take.remaining
end

-- RES-4
local function expires_at(r, take)
    return math.min(NOW + take.ttl, r.not_after)
end

-- RES-5: what the id is bound to. Returns
--   'live', record    a lease of the same request
--   'used', record    a package that it used
--   'no', code        another request
--   'none', stale     nothing; `stale` still carries the id, past its not_after, and loses it to the next binding
local function binding(take)
    local ref = redis.call('HGET', IDS, take.id)
    local r = ref and load(ref)
    if not r or not is_bound(r) or r.id ~= take.id then
        return 'none', nil
    elseif is_expired(r) then
        return 'none', r
    elseif take.only ~= '' and take.only ~= r.ref then
        return 'no', 'reservation_conflict'
    elseif r.state == 'U' then
        return 'used', r
    elseif r.by ~= take.by then
        return 'no', 'reservation_conflict'
    end
    return 'live', r
end

-- A new binding ends the old one for good (RES-5, TIME-3).
local function unbind(stale)
    if stale and stale.state == 'U' then
        put(stale, become(stale, {bound = false}))
    end
end

-- RES-7: what this party took, and what has not ended.
local function count_taken_by(party)
    local count = 0
    for _, r in ipairs(read_all(redis.call('ZRANGE', LAPSES, 0, -1))) do
        local reserver = r.state == 'R' and r.by or r.reserver
        if reserver == party then
            count = count + 1
        end
    end
    return count
end

-- RES-3: the package named, in this order.
local function named(take)
    local r = load(take.only)
    if not r then
        return nil, 'not_found'
    elseif is_expired(r) then
        return nil, 'expired'
    elseif r.state == 'R' then
        return nil, 'already_reserved'
    elseif not is_queued(r) then
        return nil, 'already_spent'
    elseif r.state == 'S' or take.last_resort == 'only' or not fits(r, take) then
        return nil, 'unsuitable'
    end
    local place = redis.call('ZSCORE', QUEUE, r.ref)
    if not place then
        error(UNREADABLE)
    end
    r.sequence = tonumber(place)
    return r
end

-- RES-6, LAST-2, LAST-4: the oldest saved of the slots that fit, marked as used.
local function last_resort(take)
    for _, r in ipairs(slots()) do
        if fits(r, take) then
            if not r.used then
                put(r, become(r, {used = true}))
            end
            return r
        end
    end
end

-- How many packages that are over a walk passes before it notes where they end, for the next one (COST-1).
local WORTH_A_HINT = 64

-- RES-10, for an id that is not bound: the record to be taken or, of state 'S', handed out; or nil and the code.
local function choose(take)
    if take.by ~= '' and take.limit and count_taken_by(take.by) >= take.limit then
        return nil, 'too_many_reservations'
    elseif take.only ~= '' then
        return named(take)
    end
    local chosen, available = nil, false
    local skipped, place, latest = each_free(0, function(r)
        available = available or is_valid(r)
        if take.last_resort ~= 'only' and fits(r, take) then
            chosen = r
        end
        -- Without a one-time package to be had, it only matters whether any is available (RES-6).
        return chosen or (take.last_resort == 'only' and available)
    end)
    if skipped >= WORTH_A_HINT then
        redis.call('HSET', IDS, '', struct.pack(HINT, place, latest))
    end
    if not chosen and take.last_resort ~= 'never' then
        chosen = last_resort(take)
    end
    if chosen then
        return chosen
    end
    return nil, available and 'nothing_fits' or 'pool_exhausted'
end

-- What is handed out: its facts, and the package.
local function handed(r, expires_at)
    return {
        'ok', r.ref, r.suite, r.not_before, r.not_after, r.last and 1 or 0, r.credential, r.bytes, expires_at,
    }
end

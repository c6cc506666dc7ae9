-- Reads the requests of reserve and claim, finds the binding of an id, and chooses a package. Follows changes.lua and
-- queue.lua.
--
-- A request is one argument: id, ttl, least lifetime left, limit, last resort, ref wanted or '', by or '', the types required
-- (three bytes each) or ''; then to its end the ciphersuites accepted, if not any. Each text follows its length.
local REQUEST = '>c16I4I4I5BBc0Bc0I2c0'
local NO_LIMIT = 2 ^ 40 - 1
local NEVER, ONLY = 0, 2 -- and 1: as a fallback

-- The request that is judged: one table for all, since a run makes as few tables as it can.
local take = {}

-- Answers the requests that begin at the argument `first`.
local function each_take(first, judge)
    local replies, suites_at = {}, nil
    if #ARGV > first then
        check_keys() -- What the first item does not read may be what a later one writes.
    end
    for index = first, #ARGV do
        local request = ARGV[index]
        take.id, take.ttl, take.remaining, take.limit, take.last_resort, take.only, take.by, take.required, suites_at =
            struct.unpack(REQUEST, request)
        take.suites = suites_at <= #request and {} or nil
        for at = suites_at, #request, 2 do
            take.suites[struct.unpack('>I2', request, at)] = true
        end
        replies[#replies + 1] = answer(judge)
    end
    return replies
end

-- Returns whether the package is valid now (TIME-1).
local function is_valid(r)
    return r.not_before <= NOW and NOW < r.not_after
end

-- Returns whether the request accepts packages of this ciphersuite; a request that names none accepts any (RES-3).
local function accepts(suite)
    return not take.suites or take.suites[suite]
end

-- Returns whether the package's support has every type that is required (RES-3).
local function meets(r)
    if take.required == '' then
        return true
    end
    local support = support_of(r)
    for first = 1, #take.required, 3 do
        local name, at = string.sub(take.required, first, first + 2), 0
        repeat
            at = string.find(support, name, at + 1, true)
        until not at or at % 3 == 1
        if not at then
            return false
        end
    end
    return true
end

-- Returns whether the package is as asked (RES-3).
local function fits(r)
    return is_valid(r) and accepts(r.suite) and r.not_after - NOW >= take.remaining and meets(r)
end

-- Returns when a lease or window that begins now lapses (RES-4).
local function expires_at(r)
    return math.min(NOW + take.ttl, r.not_after)
end

-- Looks up what the id of a request is bound to (RES-5). Returns one of
--   'live', record    a lease of the same request
--   'used', record    a package that the id was used for
--   'no', code        the rejection: the id belongs to another request
--   'none', stale     no binding. `stale`, if any, is an expired record with the id, which the next binding unbinds
local function binding()
    local ref = redis.call('HGET', IDS, take.id)
    local r = ref and load(ref)
    if not r or not is_bound(r) or r.id ~= take.id then
        return 'none', nil
    elseif is_expired(r) then
        return 'none', r
    elseif take.only ~= '' and take.only ~= r.ref or not accepts(r.suite) then
        return 'no', 'reservation_conflict'
    elseif r.state == 'U' then
        return 'used', r
    elseif r.by ~= take.by or not meets(r) then
        return 'no', 'reservation_conflict'
    end
    return 'live', r
end

-- Unbinds the id from an expired record, for good (RES-5, TIME-3).
local function unbind(stale)
    if stale and stale.state == 'U' then
        check_keys() -- What is taken then may have to write keys that nothing has read yet.
        put(stale, become(stale, {bound = false}))
    end
end

-- Counts the leases and windows of this party that have not lapsed (RES-7).
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

-- What is free, after a scan that found nothing: for each ciphersuite the widest lifetime and all types that are supported,
-- and whether any package is available. nil when that is not known; the types are known only where some were required. A
-- thousand requests that nothing fits scan the pool once a script, not a thousand times (COST-1). No request of a script
-- makes a package free, and what takes one makes this nil.
local free

local begin_script = begin
local function begin(keys, arguments)
    begin_script(keys, arguments)
    free = nil
end

-- Returns whether all types required are keys of this table.
local function are_among(required, types)
    for first = 1, #required, 3 do
        if not types[string.sub(required, first, first + 2)] then
            return false
        end
    end
    return true
end

-- Returns whether any of what is free may be as asked (RES-3).
local function may_fit()
    for suite, widest in pairs(free.suites) do
        if accepts(suite) and widest.not_before <= NOW and widest.not_after - NOW >= take.remaining
            and (not free.types_known or are_among(take.required, widest.types)) then
            return true
        end
    end
    return false
end

-- Notes a free package, and its types where some are required.
local function note(suites, r)
    local widest = suites[r.suite]
    if widest then
        widest.not_before = math.min(widest.not_before, r.not_before)
        widest.not_after = math.max(widest.not_after, r.not_after)
    else
        widest = {not_before = r.not_before, not_after = r.not_after, types = {}}
        suites[r.suite] = widest
    end
    -- The packages of a client mostly have the same support, which is looked at once.
    local support = take.required ~= '' and support_of(r)
    if support and not widest.types[support] then
        for first = 1, #support, 3 do
            widest.types[string.sub(support, first, first + 2)] = true
        end
        widest.types[support] = true
    end
end

-- Returns the package named, or nil and the first rejection that applies (RES-3).
local function named()
    free = nil
    local r = load(take.only)
    if not r then
        return nil, 'not_found'
    elseif is_expired(r) then
        return nil, 'expired'
    elseif r.state == 'R' then
        return nil, 'already_reserved'
    elseif not is_queued(r) then
        return nil, 'already_spent'
    elseif r.state == 'S' or take.last_resort == ONLY or not fits(r) then
        return nil, 'unsuitable'
    end
    local place = redis.call('ZSCORE', QUEUE, r.ref)
    if not place then
        error(UNREADABLE)
    end
    r.sequence = tonumber(place)
    return r
end

-- Returns the oldest last-resort package that fits, and marks it as used (RES-6, LAST-2, LAST-4); nil when there is
-- none.
local function last_resort()
    for _, r in ipairs(slots()) do
        if fits(r) then
            if not r.used then
                put(r, become(r, {used = true}))
            end
            return r
        end
    end
end

-- The number of expired packages that a scan passes before it leaves a hint for the next scan (COST-1).
local WORTH_A_HINT = 64

-- Chooses a package for an id that is not bound (RES-10). Returns a free record to be taken, or a record of state 'S'
-- to be handed out; or nil and the code of the rejection.
local function choose()
    if take.by ~= '' and take.limit < NO_LIMIT and count_taken_by(take.by) >= take.limit then
        return nil, 'too_many_reservations'
    elseif take.only ~= '' then
        return named()
    end
    local chosen, available = nil, false
    if free and (take.last_resort == ONLY or not may_fit()) then
        available = free.available
    else
        -- Mostly the oldest package fits.
        chosen = take.last_resort ~= ONLY and oldest()
        if chosen and fits(chosen) then
            free = nil
            return chosen
        end
        chosen = nil
        local suites = {}
        local skipped, place, latest = each_free(0, function(r)
            available = available or is_valid(r)
            if take.last_resort ~= ONLY and fits(r) then
                chosen = r
            end
            note(suites, r)
            -- Under ONLY no one-time package is taken; the rejection depends on whether any is available (RES-6).
            return chosen or (take.last_resort == ONLY and available)
        end)
        if skipped >= WORTH_A_HINT then
            redis.call('HSET', IDS, '', struct.pack(HINT, place, latest))
        end
        free = not chosen and take.last_resort ~= ONLY and {
            suites = suites, available = available, types_known = take.required ~= '',
        } or nil
    end
    if not chosen and take.last_resort ~= NEVER then
        chosen = last_resort()
    end
    if chosen then
        return chosen
    end
    return nil, available and 'nothing_fits' or 'pool_exhausted'
end

-- Takes a free package for the request. `part` is what takes it, as pool.lua has it.
local function take_free(r, lapse, part)
    add_lapse(lapse)
    if redis.call('HSETNX', TAKEN, r.ref, part) == 0 then
        -- RES-2: whatever the queue says, no package is taken twice.
        redis.call('ZREM', QUEUE, r.ref)
        error(MISLED)
    end
    redis.call('ZREM', QUEUE, r.ref)
    redis.call('ZADD', LAPSES, lapse, r.ref)
    redis.call('HSET', IDS, take.id, r.ref)
end

-- Returns the answer that hands a package out: its record, how many bytes of it lie before the package, and when its lease
-- lapses, if it has one. The record goes whole, so that Lua makes no string of the package, nor of its credential.
local function handed(r, expires_at)
    return {'ok', r.ref, r.value, r.package_at - 1, expires_at}
end

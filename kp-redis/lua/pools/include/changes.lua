-- Writes records, and keeps the indexes that follow from them. Follows pool.lua in every script that writes.

local function no(code)
    return {'no', code}
end

-- Returns whether the reservation id leads to the package (RES-5).
local function is_bound(r)
    return r.state == 'R' or (r.state == 'U' and r.bound)
end

-- Packs the record of a package that was used. It is in a window where the window ends, and a reserver is counted.
local function pack_used(r, bound, at, id, group, by, expires_at, reserver)
    local head, mark = head_of(r), bound and 1 or 0
    if #head >= BEHIND_HEAD then
        mark = mark + HAS_INIT_KEY
    end
    if expires_at then
        return struct.pack(
            '>c1Bc0I7c16Bc0Bc0I7Bc0', 'U', mark + 2 * RESERVER, head, at, id, #group, group, #by, by, expires_at, #reserver, reserver
        )
    end
    return struct.pack('>c1Bc0I7c16Bc0Bc0', 'U', mark, head, at, id, #group, group, #by, by)
end

-- Packs a record. That of a package that is taken is the record F.
local function pack(r)
    local state, mark, head, rest = r.state, 0, head_of(r), nil
    if is_queued(r) or is_taken(r) then
        state = state == 'S' and 'S' or 'F'
        mark = state == 'S' and r.used and 1 or 0
        rest = struct.pack('>I7', saved_at(r))
        local support = support_of(r)
        if support ~= '' then -- RES-3: as long as the bytes
            mark, rest = mark + HAS_SUPPORT, rest .. struct.pack('>I2c0', #support, support)
        end
        rest = rest .. package_of(r)
    elseif state == 'U' then
        return pack_used(r, r.bound, r.at, r.id, r.group, r.by, r.window > 0 and r.expires_at, r.reserver)
    else
        mark = state == 'W' and r.last and 1 or 0
        rest = struct.pack('>I7', r.at) -- SPEND-4, LAST-1: the bytes are dropped
    end
    if #head >= BEHIND_HEAD then
        mark = mark + HAS_INIT_KEY
    end
    return state .. string.char(mark) .. head .. rest
end

-- Packs what took a package.
local function pack_taken(r)
    if r.state == 'R' then
        local mark = (r.retire and 1 or 0) + 2 * r.recalled
        return struct.pack(LEASED, 'R', mark, r.expires_at, r.id, r.sequence, #r.by, r.by)
    end
    local mark = r.bound and 1 or 0
    return struct.pack(
        CLAIMED, 'U', mark, r.expires_at, r.id, r.at, #r.group, r.group, #r.by, r.by, #r.reserver, r.reserver
    )
end

-- The earliest lapse that the script has told the bucket's index of. The index has the pool's earliest or one before: a lease
-- that ends early leaves it as it is, and the sweep that finds nothing due corrects it.
local told_lapse

-- Tells the bucket's index of a lapse. It comes before all other writes: if one of them fails, what is left is an index that is
-- early, which a sweep corrects.
local function add_lapse(expires_at)
    if expires_at < told_lapse then
        told_lapse = expires_at
        redis.call('ZADD', POOLS_BY_LAPSE, 'LT', expires_at, POOL)
    end
end

-- Returns whether the record is F: the package is free, or taken.
local function is_kept(r)
    return r.state == 'F' or is_taken(r)
end

-- Removes a record from the indexes that it leaves. `after` is nil when the record is forgotten.
local function unlist(before, after)
    if is_queued(before) and not (after and is_queued(after)) then
        redis.call('ZREM', QUEUE, before.ref)
    end
    if lapses_at(before) and not (after and lapses_at(after)) then
        redis.call('ZREM', LAPSES, before.ref)
    end
    if is_bound(before) and not (after and is_bound(after) and after.id == before.id) then
        redis.call('HDEL', IDS, before.id)
    end
end

-- Removes the hint when a package returns to a place that the hint tells scans to skip.
local function clear_hint(r)
    local hint = redis.call('HGET', IDS, '')
    if hint and (#hint ~= HINT_LENGTH or r.sequence <= struct.unpack(HINT, hint)) then
        redis.call('HDEL', IDS, '')
    end
end

-- Writes a record, and updates the indexes. `before` is nil for a new record. A free package is taken by `take_free` alone.
local function put(before, after)
    local was, is = before and lapses_at(before), lapses_at(after)
    if is then
        add_lapse(is)
    end
    if is_taken(after) then
        redis.call('HSET', TAKEN, after.ref, pack_taken(after))
    elseif before and is_taken(before) then
        redis.call('HDEL', TAKEN, before.ref)
    end
    if not (before and is_kept(before) and is_kept(after)) then
        redis.call('HSET', RECORDS, after.ref, pack(after))
    end
    if before then
        unlist(before, after)
    end
    if is_queued(after) and not (before and is_queued(before)) then
        redis.call('ZADD', QUEUE, after.state == 'S' and -after.sequence or after.sequence, after.ref)
        if before then
            clear_hint(after)
        end
    end
    if is and is ~= was then
        redis.call('ZADD', LAPSES, is, after.ref)
    end
    if is_bound(after) and not (before and is_bound(before)) then
        redis.call('HSET', IDS, after.id, after.ref)
    end
end

-- Raises an error if a key of the pool holds a value of another type. Needed by scripts that write keys they do not
-- read.
local function check_keys()
    for _, key in ipairs({RECORDS, IDS, TAKEN, INIT_KEYS}) do -- The last may not be given.
        redis.call('HLEN', key)
    end
    for _, key in ipairs({QUEUE, LAPSES, POOLS_BY_LAPSE, POOLS, POOLS_BY_EXPIRY}) do -- The last two may not be given.
        redis.call('ZCARD', key)
    end
end

-- Settles every lease and window whose expires_at has come (TIME-2, SWEEP-2), or the first `most` of them, and returns how
-- many there were. Every call that changes a pool settles first.
local function settle(most)
    if redis.call('ZCOUNT', LAPSES, '-inf', ARGV[2]) == 0 then
        return 0
    end
    check_keys()
    local count = 0
    for _, ref in ipairs(redis.call('ZRANGEBYSCORE', LAPSES, '-inf', ARGV[2], 'LIMIT', 0, most or -1)) do
        local value = redis.call('HGET', RECORDS, ref)
        local r = value and peek(ref, value, taken_part(ref, value))
        if r and lapses_at(r) and r.expires_at <= NOW then
            put(r, settled(r))
            count = count + 1
        else
            -- The ref has no lease or window that could lapse. If it stayed, its pool would be due for ever (SWEEP-2).
            redis.call('ZREM', LAPSES, ref)
        end
    end
    return count
end

-- Writes what changes nothing, once a script: removes what is never there, since no reservation id has this length.
--
-- A replica refuses the first write of a script, but a script that has nothing to write (a refusal, a replay) would answer
-- from what a demoted master last knew. A master that takes no writes for now (MISCONF, NOREPLICAS) goes on answering.
local is_master
local function write_nothing()
    if is_master then
        return
    end
    local write = redis.pcall('HDEL', IDS, '-')
    if type(write) == 'table' and string.find(write.err, '^READONLY') then
        error(write)
    end
    is_master = true
end

local begin_reading = begin
local function begin(keys, arguments)
    begin_reading(keys, arguments)
    told_lapse, is_master = math.huge, IS_FUNCTION
end

-- Returns the reply. Every script that changes a pool ends with it.
local function finish(reply)
    write_nothing()
    return reply
end

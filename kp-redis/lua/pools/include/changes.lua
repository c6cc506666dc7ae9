-- Writes records, and keeps the indexes that follow from them. Follows pool.lua in every script that writes.

local function no(code)
    return {'no', code}
end

-- Returns whether the reservation id leads to the package (RES-5).
local function is_bound(r)
    return r.state == 'R' or (r.state == 'U' and r.bound)
end

local function pack(r)
    local state, mark, rest, bytes = r.state, 0, nil, ''
    if state == 'F' or state == 'S' then
        mark = state == 'S' and r.used and 1 or 0
        rest, bytes = struct.pack('>I7', r.saved_at), package_of(r)
    elseif state == 'R' then
        mark = (r.retire and 1 or 0) + 2 * r.recalled
        rest = struct.pack('>I7I7I7c16Bc0', r.saved_at, r.sequence, r.expires_at, r.id, #r.by, r.by)
        bytes = package_of(r)
    elseif state == 'U' then
        mark = (r.bound and 1 or 0) + 2 * r.window
        rest = struct.pack('>I7c16Bc0Bc0', r.at, r.id, #r.group, r.group, #r.by, r.by)
        if r.window > 0 then
            rest = rest .. struct.pack('>I7Bc0', r.expires_at, #r.reserver, r.reserver)
        end
        if r.window == REPLAYABLE then
            bytes = package_of(r) -- SPEND-4
        end
    else
        mark = state == 'W' and r.last and 1 or 0
        rest = struct.pack('>I7', r.at) -- SPEND-4, LAST-1: the bytes are dropped
    end
    if r.init_key ~= '' then
        mark = mark + HAS_INIT_KEY
    end
    if bytes ~= '' and r.support ~= '' then -- RES-3: as long as the bytes
        mark, rest = mark + HAS_SUPPORT, rest .. struct.pack('>I2c0', #r.support, r.support)
    end
    return state .. string.char(mark) .. r.head .. r.init_key .. rest .. bytes
end

-- The pool's earliest lapse as the bucket's index has it, and whether the earliest lapse may have changed since.
local first_lapse, first_lapse_moved = math.huge, false

local function moves_first_lapse(before, after)
    if before and before <= first_lapse or after and after < first_lapse then
        first_lapse_moved = true
    end
end

-- Removes a record from the indexes that it leaves. `after` is nil when the record is forgotten.
local function unlist(before, after)
    if is_queued(before) and not (after and is_queued(after)) then
        redis.call('ZREM', QUEUE, before.ref)
    end
    if lapses_at(before) and not (after and lapses_at(after)) then
        redis.call('ZREM', LAPSES, before.ref)
        moves_first_lapse(lapses_at(before), nil)
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

-- Writes a record, and updates the indexes. `before` is nil for a new record.
local function put(before, after)
    if before then
        unlist(before, after)
    end
    redis.call('HSET', RECORDS, after.ref, pack(after))
    if is_queued(after) and not (before and is_queued(before)) then
        redis.call('ZADD', QUEUE, after.state == 'S' and -after.sequence or after.sequence, after.ref)
        if before then
            clear_hint(after)
        end
    end
    local was, is = before and lapses_at(before), lapses_at(after)
    if is and is ~= was then
        redis.call('ZADD', LAPSES, is, after.ref)
        moves_first_lapse(was, is)
    end
    if is_bound(after) and not (before and is_bound(before)) then
        redis.call('HSET', IDS, after.id, after.ref)
    end
end

-- Raises an error if a key of the pool holds a value of another type. Needed by scripts that write keys they do not
-- read.
local function check_keys()
    redis.call('HLEN', RECORDS)
    redis.call('HLEN', IDS)
    for _, key in ipairs({QUEUE, LAPSES, POOLS, POOLS_BY_EXPIRY, POOLS_BY_LAPSE}) do
        redis.call('ZCARD', key)
    end
end

-- Settles every lease and window whose expires_at has come (TIME-2, SWEEP-2), or the first `most` of them, and returns how
-- many there were. Every call that changes a pool settles first.
local function settle(most)
    first_lapse = tonumber(redis.call('ZSCORE', POOLS_BY_LAPSE, POOL) or math.huge)
    local due = redis.call('ZRANGEBYSCORE', LAPSES, '-inf', ARGV[2], 'LIMIT', 0, most or -1)
    if #due == 0 then
        return 0
    end
    check_keys()
    local count = 0
    for _, ref in ipairs(due) do
        local r = peek(ref, redis.call('HGET', RECORDS, ref))
        if r and lapses_at(r) and r.expires_at <= NOW then
            put(r, settled(r))
            count = count + 1
        else
            -- The ref has no lease or window that could lapse. If it stayed, its pool would be due for ever (SWEEP-2).
            redis.call('ZREM', LAPSES, ref)
            first_lapse_moved = true
        end
    end
    return count
end

-- Writes what changes nothing, once a script: removes what is never there, since no reservation id has this length.
--
-- A replica refuses the first write of a script, but a script that has nothing to write (a refusal, a replay) would answer
-- from what a demoted master last knew. A master that takes no writes for now (MISCONF, NOREPLICAS) goes on answering.
local is_master = false
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

-- Updates the bucket's index of pools by lapse, and returns the reply. Every script that changes a pool ends with it.
local function finish(reply)
    write_nothing()
    if first_lapse_moved then
        local first = redis.call('ZRANGE', LAPSES, 0, 0, 'WITHSCORES')[2]
        if not first then
            redis.call('ZREM', POOLS_BY_LAPSE, POOL)
        elseif tonumber(first) ~= first_lapse then
            redis.call('ZADD', POOLS_BY_LAPSE, first, POOL)
        end
    end
    return reply
end

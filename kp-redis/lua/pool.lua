-- A pool: its records, and the indexes that are kept with them. Stands before every script.
--
-- KEYS, of every script, all in the slot of the pool's bucket
--   1 records  hash  ref -> record; the empty field -> the last sequence given out
--   2 queue    zset  ref at its place: free packages at their sequence, last-resort slots at minus theirs
--   3 ends     zset  ref at the expires_at of its lease or window
--   4 ids      hash  reservation id -> the ref that it is bound to
--   5 pools    zset  of the bucket: every pool that holds anything, all at 0
--   6 expiry   zset  of the bucket: every pool, at its earliest not_after or before
--   7 ending   zset  of the bucket: every pool with leases or windows, at its earliest expires_at
-- ARGV, of every script
--   1 pool id
--   2 now
-- Reply of a call on items: one array each, whose first element is
--   ok          and what the script says
--   no          and the code of the rejection
--   unreadable  the record asked for is damaged
--
-- Lua does not roll back: a script reads all that may fail before it first writes.

local RECORDS, QUEUE, ENDS, IDS, POOLS, EXPIRY, ENDING = unpack(KEYS)
local POOL, NOW = ARGV[1], tonumber(ARGV[2])

for index, kind in ipairs({'hash', 'zset', 'zset', 'hash', 'zset', 'zset', 'zset'}) do
    local found = redis.call('TYPE', KEYS[index]).ok
    if found ~= kind and found ~= 'none' then
        return redis.error_reply('WRONGTYPE a key of the pool holds a ' .. found .. ', not a ' .. kind)
    end
end

-- What is raised where a damaged record is asked for by ref or id.
local UNREADABLE = {}

-- A record is its facts, then what its state needs; integers are big-endian.
--   every one  state, mark, ciphersuite, not_before, not_after, credential
--   F free     saved_at; package
--   S slot     saved_at; package                                             mark: 1 used
--   R leased   saved_at, sequence, expires_at, id, by; package               mark: 1 retire at lapse, 2 or 4 recalled
--   U used     at, id, group, by; in a window: expires_at, reserver;         mark: 1 bound, 2 or 4 in a window
--              while replayable: package
--   T retired, P replaced, W withdrawn: at                                   mark of W: 1 last resort
-- Texts have their length before them, and none is one of length 0.
local FACTS = '>c1BI2I7I7c32'
local MAX_TIME = 9007199254740991

-- Recalled as (rules::Recall), and windows.
local RETIRED, WITHDRAWN = 1, 2
local RESERVER, REPLAYABLE = 1, 2

local function parse(ref, value)
    local r, mark, at = {ref = ref}, nil, nil
    r.state, mark, r.suite, r.not_before, r.not_after, r.credential, at = struct.unpack(FACTS, value)
    local half = math.floor(mark / 2)
    local packed = false
    if r.state == 'F' or r.state == 'S' then
        r.saved_at, at = struct.unpack('>I7', value, at)
        r.used = mark == 1
        packed = true
    elseif r.state == 'R' then
        r.saved_at, r.sequence, r.expires_at, r.id, r.by, at = struct.unpack('>I7I7I7c16Bc0', value, at)
        r.retire, r.recalled = mark % 2 == 1, half
        packed = true
    elseif r.state == 'U' then
        r.at, r.id, r.group, r.by, at = struct.unpack('>I7c16Bc0Bc0', value, at)
        r.bound, r.window = mark % 2 == 1, half
        if r.window > 0 then
            r.expires_at, r.reserver, at = struct.unpack('>I7Bc0', value, at)
            packed = r.window == REPLAYABLE
        end
    elseif r.state == 'T' or r.state == 'P' or r.state == 'W' then
        r.at, at = struct.unpack('>I7', value, at)
    else
        error(UNREADABLE)
    end
    r.last = r.state == 'S' or r.state == 'P' or (r.state == 'W' and mark == 1)
    if packed then
        r.bytes = string.sub(value, at)
    end
    local whole = packed and #r.bytes > 0 and #r.bytes <= 65535 or not packed and at == #value + 1
    local dated = r.not_before < r.not_after and r.not_after <= MAX_TIME
        and (r.expires_at or 0) <= r.not_after and (r.at or 0) <= MAX_TIME
    if half > 2 or not (whole and dated) then
        error(UNREADABLE)
    end
    return r
end

local function pack(r)
    local mark, rest = 0, nil
    if r.state == 'F' or r.state == 'S' then
        mark = r.state == 'S' and r.used and 1 or 0
        rest = struct.pack('>I7', r.saved_at) .. r.bytes
    elseif r.state == 'R' then
        mark = (r.retire and 1 or 0) + 2 * r.recalled
        rest = struct.pack('>I7I7I7c16Bc0', r.saved_at, r.sequence, r.expires_at, r.id, #r.by, r.by) .. r.bytes
    elseif r.state == 'U' then
        mark = (r.bound and 1 or 0) + 2 * r.window
        rest = struct.pack('>I7c16Bc0Bc0', r.at, r.id, #r.group, r.group, #r.by, r.by)
        if r.window > 0 then
            rest = rest .. struct.pack('>I7Bc0', r.expires_at, #r.reserver, r.reserver)
        end
        if r.window == REPLAYABLE then
            rest = rest .. r.bytes -- SPEND-4
        end
    else
        mark = r.state == 'W' and r.last and 1 or 0
        rest = struct.pack('>I7', r.at) -- SPEND-4, LAST-1: the bytes go
    end
    return struct.pack(FACTS, r.state, mark, r.suite, r.not_before, r.not_after, r.credential) .. rest
end

-- A record that is looked through with others: nil, and a line in the server's log, when it is damaged.
local function peek(ref, value)
    if not value then
        return nil
    end
    local ok, r = pcall(parse, ref, value)
    if ok then
        return r
    end
    redis.log(redis.LOG_WARNING, 'kp-redis: passed over a record that cannot be read')
    return nil
end

-- The record of this ref; nil when there is none.
local function load(ref)
    local value = redis.call('HGET', RECORDS, ref)
    if not value then
        return nil
    end
    local ok, r = pcall(parse, ref, value)
    if not ok then
        error(UNREADABLE)
    end
    return r
end

-- Runs one item of a call; a damaged record is that item's answer, and the others get theirs.
local function answer(judge, ...)
    local ok, reply = pcall(judge, ...)
    if ok then
        return reply
    elseif reply == UNREADABLE then
        return {'unreadable'}
    end
    error(reply)
end

local function no(code)
    return {'no', code}
end

-- TIME-1: past its not_after.
local function is_over(r)
    return r.not_after <= NOW
end

local function is_queued(r)
    return r.state == 'F' or r.state == 'S'
end

-- Has a lease or a window, which ends at expires_at.
local function is_ending(r)
    return r.state == 'R' or (r.state == 'U' and r.window > 0)
end

-- RES-5: its id leads to it.
local function is_bound(r)
    return r.state == 'R' or (r.state == 'U' and r.bound)
end

-- A whole number as text: Lua's own way keeps 14 digits.
local function text(number)
    return string.format('%.0f', number)
end

-- The same package in another state, with what that state needs.
local function become(r, state, fields)
    local after = {
        state = state, ref = r.ref, suite = r.suite, not_before = r.not_before, not_after = r.not_after,
        credential = r.credential, last = r.last, saved_at = r.saved_at, sequence = r.sequence, bytes = r.bytes,
    }
    for name, value in pairs(fields) do
        after[name] = value
    end
    return after
end

local ends_changed = false

-- Takes out of the indexes what a record no longer has a part in; `after` is nil when it goes.
local function unlist(before, after)
    if is_queued(before) and not (after and is_queued(after)) then
        redis.call('ZREM', QUEUE, before.ref)
    end
    if is_ending(before) and not (after and is_ending(after)) then
        redis.call('ZREM', ENDS, before.ref)
        ends_changed = true
    end
    if is_bound(before) and not (after and is_bound(after) and after.id == before.id) then
        redis.call('HDEL', IDS, before.id)
    end
end

-- Writes a record, and keeps the indexes; `before` is nil for a new one.
local function put(before, after)
    if before then
        unlist(before, after)
    end
    redis.call('HSET', RECORDS, after.ref, pack(after))
    if is_queued(after) and not (before and is_queued(before)) then
        redis.call('ZADD', QUEUE, text(after.state == 'S' and -after.sequence or after.sequence), after.ref)
    end
    if is_ending(after) then
        redis.call('ZADD', ENDS, text(after.expires_at), after.ref)
        ends_changed = true
    end
    if is_bound(after) and not (before and is_bound(before)) then
        redis.call('HSET', IDS, after.id, after.ref)
    end
end

local function forget(r)
    unlist(r, nil)
    redis.call('HDEL', RECORDS, r.ref)
end

-- Keeps the bucket's index of what ends: the last thing that a script which changes a pool does.
local function finish(reply)
    if ends_changed then
        local first = redis.call('ZRANGE', ENDS, 0, 0, 'WITHSCORES')
        if first[2] then
            redis.call('ZADD', ENDING, first[2], POOL)
        else
            redis.call('ZREM', ENDING, POOL)
        end
    end
    return reply
end

-- What a record becomes at the end of its lease or window (TIME-2, RES-9, REL-1).
local function ended(r)
    if r.state == 'U' then
        return become(r, 'U', {at = r.at, id = r.id, group = r.group, by = r.by, bound = r.bound, window = 0})
    elseif r.recalled == WITHDRAWN then
        return become(r, 'W', {at = r.expires_at})
    elseif r.recalled == RETIRED or r.retire then
        return become(r, 'T', {at = r.expires_at})
    end
    return become(r, 'F', {})
end

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

-- Calls `visit` with every record: nil in place of one that cannot be read.
local function each_record(visit)
    local all = redis.call('HGETALL', RECORDS)
    for at = 1, #all, 2 do
        if all[at] ~= '' then
            visit(peek(all[at], all[at + 1]))
        end
    end
end

-- Whether none of these arguments, `step` apart, is the ref of a damaged record: asked before anything is written.
local function can_read(first, step)
    for at = first, #ARGV, step do
        if not pcall(load, ARGV[at]) then
            return false
        end
    end
    return true
end

-- TIME-2, SWEEP-2: what has ended ends for good. Says how many there were.
local function settle()
    local due = redis.call('ZRANGEBYSCORE', ENDS, '-inf', ARGV[2])
    local count = 0
    for _, ref in ipairs(due) do
        local r = peek(ref, redis.call('HGET', RECORDS, ref))
        if r and is_ending(r) and r.expires_at <= NOW then
            put(r, ended(r))
            count = count + 1
        else
            -- Nothing that can end: else its pool would be due for ever (SWEEP-2).
            redis.call('ZREM', ENDS, ref)
            ends_changed = true
        end
    end
    return count
end

-- RES-2: calls `visit` with the free packages behind this place, the oldest first, until it returns true.
local function walk_free(after, visit)
    local first, size = redis.call('ZCOUNT', QUEUE, '-inf', after), 4
    while true do
        local page = redis.call('ZRANGE', QUEUE, first, first + size - 1, 'WITHSCORES')
        local refs = {}
        for index = 1, #page, 2 do
            refs[#refs + 1] = page[index]
        end
        if #refs == 0 then
            return
        end
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(refs))) do
            local r = peek(refs[index], value)
            if r and r.state == 'F' then
                r.sequence = tonumber(page[2 * index])
                if visit(r) then
                    return
                end
            end
        end
        first, size = first + #refs, math.min(4 * size, 1000)
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

-- The one-time packages that are free or leased and not past their not_after, by sequence.
local function unspent()
    local found = {}
    walk_free(0, function(r)
        if not is_over(r) then
            found[#found + 1] = r
        end
    end)
    for _, r in ipairs(read_all(redis.call('ZRANGE', ENDS, 0, -1))) do
        if r.state == 'R' and not is_over(r) then
            found[#found + 1] = r
        end
    end
    table.sort(found, function(a, b) return a.sequence < b.sequence end)
    return found
end

-- DEL-2, DEL-3, SAVE-8: a free package or a slot is spent, a leased one recalled; a withdrawal outranks a retirement.
local function take_back(r, recall)
    if r.state == 'R' then
        if recall > r.recalled then
            put(r, become(r, 'R', {
                expires_at = r.expires_at, id = r.id, by = r.by, retire = r.retire, recalled = recall,
            }))
        end
    else
        put(r, become(r, recall == WITHDRAWN and 'W' or 'T', {at = NOW}))
    end
end

-- The facts about a package, as replies carry them.
local function facts(r)
    return {r.ref, r.suite, r.not_before, r.not_after, r.last and 1 or 0, r.credential}
end

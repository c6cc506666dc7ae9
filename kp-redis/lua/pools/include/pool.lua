-- A pool: how it lies in Redis, and its records. Stands before every script.
--
-- KEYS, of every script, all in the slot of the pool's bucket
--   1 records  hash  ref -> record; the empty field -> the last sequence given out
--   2 queue    zset  ref at its place: free packages at their sequence, last-resort slots at minus theirs
--   3 ends     zset  ref at the expires_at of its lease or window
--   4 ids      hash  reservation id -> the ref that it is bound to; the empty field -> how far the queue was over (HINT)
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
-- Lua does not roll back: a script reads every key that it may write, and all else that may fail, before it first
-- writes. Functions are made anew at each run: each stands where only the scripts that need it have it before them.

local RECORDS, QUEUE, LAPSES, IDS, POOLS, POOLS_BY_EXPIRY, POOLS_BY_LAPSE = unpack(KEYS)
local POOL, NOW = ARGV[1], tonumber(ARGV[2])

-- What is raised where a damaged record is asked for by ref or id.
local UNREADABLE = {}

-- A record is its facts, then what its state needs; integers are big-endian.
--   every one  state, mark; head: ciphersuite, not_before, not_after, credential
--   F free     saved_at; package
--   S slot     saved_at; package                                             mark: 1 used
--   R leased   saved_at, sequence, expires_at, id, by; package               mark: 1 retire at lapse, 2 or 4 recalled
--   U used     at, id, group, by; in a window: expires_at, reserver;         mark: 1 bound, 2 or 4 in a window
--              while replayable: package
--   T retired, P replaced, W withdrawn: at                                   mark of W: 1 last resort
-- Texts have their length before them, and none is one of length 0.
local FACTS, HEAD, BEHIND_HEAD = '>c1BI2I7I7c32', 3, 51
local MAX_TIME = 9007199254740991

-- What was found at the head of a queue: a place, and the latest not_after of the free packages up to it. It tells what
-- they are, not what the time was: so it holds also where `now` steps back (TIME-3).
local HINT, HINT_LENGTH = '>I7I7', 14

-- Recalled as (rules::Recall), and windows.
local RETIRED, WITHDRAWN = 1, 2
local RESERVER, REPLAYABLE = 1, 2

local function parse(ref, value)
    local state, mark, suite, not_before, not_after, credential, at = struct.unpack(FACTS, value)
    local half = (mark - mark % 2) / 2
    local r = {
        ref = ref, state = state, suite = suite, not_before = not_before, not_after = not_after,
        credential = credential, head = string.sub(value, HEAD, BEHIND_HEAD - 1), last = false, bytes = nil,
    }
    local packed = false
    if state == 'F' or state == 'S' then
        r.saved_at, at = struct.unpack('>I7', value, at)
        r.last, r.used = state == 'S', mark == 1
        packed = true
    elseif state == 'R' then
        r.saved_at, r.sequence, r.expires_at, r.id, r.by, at = struct.unpack('>I7I7I7c16Bc0', value, at)
        r.retire, r.recalled = mark % 2 == 1, half
        packed = true
    elseif state == 'U' then
        r.at, r.id, r.group, r.by, at = struct.unpack('>I7c16Bc0Bc0', value, at)
        r.bound, r.window = mark % 2 == 1, half
        if half > 0 then
            r.expires_at, r.reserver, at = struct.unpack('>I7Bc0', value, at)
            packed = half == REPLAYABLE
        end
    elseif state == 'T' or state == 'P' or state == 'W' then
        r.at, at = struct.unpack('>I7', value, at)
        r.last = state == 'P' or (state == 'W' and mark == 1)
    else
        error(UNREADABLE)
    end
    if packed then
        r.bytes = string.sub(value, at)
    end
    local whole = packed and #r.bytes > 0 and #r.bytes <= 65535 or not packed and at == #value + 1
    local dated = not_before < not_after and not_after <= MAX_TIME
        and (r.expires_at or 0) <= not_after and (r.at or 0) <= MAX_TIME
    if half > 2 or not (whole and dated) then
        error(UNREADABLE)
    end
    return r
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

-- Calls `visit` with every record: nil in place of one that cannot be read.
local function each_record(visit)
    local all = redis.call('HGETALL', RECORDS)
    for at = 1, #all, 2 do
        if all[at] ~= '' then
            visit(peek(all[at], all[at + 1]))
        end
    end
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

-- TIME-1: past its not_after.
local function is_expired(r)
    return r.not_after <= NOW
end

local function is_queued(r)
    return r.state == 'F' or r.state == 'S'
end

-- When its lease or window ends; nil when it has none.
local function lapses_at(r)
    return (r.state == 'R' or (r.state == 'U' and r.window > 0)) and r.expires_at or nil
end

-- The same package after a change: what is not named is as it was.
local function become(r, changes)
    return setmetatable(changes, {__index = r})
end

-- What a record becomes at the end of its lease or window (TIME-2, RES-9, REL-1).
local function settled(r)
    if r.state == 'U' then
        return become(r, {window = 0})
    elseif r.recalled == WITHDRAWN then
        return become(r, {state = 'W', at = r.expires_at})
    elseif r.recalled == RETIRED or r.retire then
        return become(r, {state = 'T', at = r.expires_at})
    end
    return become(r, {state = 'F'})
end

-- Reads the records of a pool. Every script begins with this file.
--
-- KEYS, all in the slot of the pool's bucket; the last three are given to scripts that add or forget records, and to no others
--   1 records           hash  ref -> record; the empty field -> the last sequence given out
--   2 queue             zset  ref at its place: a free package at its sequence, a last-resort slot at minus that
--   3 lapses            zset  ref at the expires_at of its lease or replay window
--   4 ids               hash  reservation id -> the ref that the id is bound to; the empty field -> HINT
--   5 taken             hash  ref -> what took a package that its record still has: see below
--   6 pools by lapse    zset  of the bucket: every pool with a lease or window, at its earliest expires_at or before
--   7 pools             zset  of the bucket: every pool that has a record, all at 0
--   8 pools by expiry   zset  of the bucket: every pool, at its earliest not_after or before
--   9 init keys         hash  the fingerprints of the records: see init_keys.lua
-- ARGV of every script
--   1 pool id
--   2 now
-- Reply of a call on items: an array for each item, which begins with a tag
--   ok          then the elements that the script's header names
--   no          then the code of the rejection
--   unreadable  nothing more: the record asked for is damaged
--
-- Redis does not roll a script back. So a script reads every key that it may write, and everything else that may fail,
-- before its first write; a key that it has not read may be the first that it writes.
--
-- A script returns the function that is run. As a function of the server's (FCALL) it is made once, and run often: so each run
-- begins with `begin`, which a file that keeps something for a run extends.

local RECORDS, QUEUE, LAPSES, IDS, TAKEN, POOLS_BY_LAPSE, POOLS, POOLS_BY_EXPIRY, INIT_KEYS
local ARGV, POOL, NOW

local function begin(keys, arguments)
    RECORDS, QUEUE, LAPSES, IDS, TAKEN, POOLS_BY_LAPSE, POOLS, POOLS_BY_EXPIRY, INIT_KEYS = unpack(keys)
    ARGV, POOL, NOW = arguments, arguments[1], tonumber(arguments[2])
end

-- Raised when a damaged record is asked for by its ref or id.
local UNREADABLE = {}

-- Raised when the queue led to a package that is taken. The entry is removed by then, and the item is judged again.
local MISLED = {}

-- A record begins with its state, a mark and the head: ciphersuite, not_before, not_after, credential. Then follow the
-- fields of the state. Integers are big-endian. As far as the head, Rust reads it too, where a package is handed out (replies.rs).
--   F free     saved_at; package
--   S slot     saved_at; package                                             mark: 1 used
--   U used     at, id, group, by; in a window: expires_at, reserver;         mark: 1 bound, 2 in a window
--   T retired, P replaced, W withdrawn: at                                   mark of W: 1 last resort
-- A text follows its length. Length 0 stands for a text that was not given.
-- Of any state, mark + 8: the 8 bytes of the init key's fingerprint follow the head (SAVE-9). Of a state with the package,
-- mark + 16: the package's support, behind its length in 2 bytes, stands before the package (RES-3).
--
-- A package that is taken keeps its record F, so that nothing writes its bytes again. What took it stands in TAKEN:
--   R leased   mark, expires_at, id, sequence; by                            mark: 1 retire at lapse, 2 or 4 recalled
--   U used     mark, expires_at, id, at; group, by, reserver                 mark: 1 bound
-- The latter is a claim in its replay window. Under any record but F, what TAKEN has of the ref is damage, and not looked at.
local FACTS, HEAD, BEHIND_HEAD = '>c1BI2I7I7', 3, 51
local MAX_TIME = 9007199254740991

local HAS_INIT_KEY, HAS_SUPPORT = 8, 16

local LEASED, CLAIMED = '>c1BI7c16I7Bc0', '>c1BI7c16I7Bc0Bc0Bc0'

-- The hint of a queue: a place, and the latest not_after of the free packages up to that place. From that not_after on,
-- a scan may begin behind the place. The hint holds no time of a call, so it stays true when `now` steps back (TIME-3).
local HINT, HINT_LENGTH = '>I7I7', 14

-- The values of `recalled` (rules::Recall), and those of `window`.
local RETIRED, WITHDRAWN = 1, 2
local RESERVER, REPLAYABLE = 1, 2

-- Reads what took a package into its record.
local function parse_taken(r, taken)
    local mark, at
    if string.byte(taken) == 82 then
        r.state, mark, r.expires_at, r.id, r.sequence, r.by, at = struct.unpack(LEASED, taken)
        local recalled = (mark - mark % 2) / 2
        r.retire, r.recalled = mark % 2 == 1 or nil, recalled
        if recalled > 2 then
            error(UNREADABLE)
        end
    else
        r.state, mark, r.expires_at, r.id, r.at, r.group, r.by, r.reserver, at = struct.unpack(CLAIMED, taken)
        r.bound, r.window = mark == 1, REPLAYABLE
        if r.state ~= 'U' or mark > 1 or r.at > MAX_TIME then
            error(UNREADABLE)
        end
    end
    if at ~= #taken + 1 or r.expires_at > r.not_after then
        error(UNREADABLE)
    end
end

-- Reads a record, with what took its package, if anything did. Raises an error for a damaged one.
local function parse(ref, value, taken)
    local state, mark, suite, not_before, not_after = struct.unpack(FACTS, value)
    local half, has_init_key, at = mark % 8, mark % 16 >= 8, BEHIND_HEAD
    half = (half - half % 2) / 2
    if has_init_key then
        at = at + 8
    end
    -- With what took it a record has at most 16 fields, where a table doubles. So what is not so is left out.
    local r = {
        ref = ref, value = value, state = state, suite = suite, not_before = not_before, not_after = not_after,
        last = state == 'S', rest_at = at, support_at = nil, package_at = nil,
    }
    if state == 'F' or state == 'S' then
        if state == 'S' then
            r.used = mark % 2 == 1
        end
        at = at + 7
        if mark >= HAS_SUPPORT then
            r.support_at = at + 2
            at = r.support_at + struct.unpack('>I2', value, at)
        end
        r.package_at = at
        local length = #value + 1 - at
        if half > 2 or mark >= 2 * HAS_SUPPORT or length < 1 or length > 65535 then
            error(UNREADABLE)
        end
        if taken and state == 'F' then
            parse_taken(r, taken)
        end
    else
        if state == 'U' then
            r.at, r.id, r.group, r.by, at = struct.unpack('>I7c16Bc0Bc0', value, at)
            r.bound, r.window = mark % 2 == 1, half
            if half > 0 then
                r.expires_at, r.reserver, at = struct.unpack('>I7Bc0', value, at)
            end
        elseif state == 'T' or state == 'P' or state == 'W' then
            r.at, at = struct.unpack('>I7', value, at)
            r.last = state == 'P' or (state == 'W' and mark % 8 == 1)
        else
            error(UNREADABLE)
        end
        if half > 1 or mark >= HAS_SUPPORT or at ~= #value + 1 or r.at > MAX_TIME or (r.expires_at or 0) > not_after then
            error(UNREADABLE)
        end
    end
    if not_before >= not_after or not_after > MAX_TIME then
        error(UNREADABLE)
    end
    return r
end

-- What follows is cut out of a record only where it is needed: Lua reads every byte of a string that it makes, 27 us for 15 kB.

local function package_of(r)
    return r.bytes or string.sub(r.value, r.package_at)
end

local function credential_of(r)
    return r.credential or string.sub(r.value, 19, 50)
end

local function saved_at(r)
    return r.saved_at or r.package_at and struct.unpack('>I7', r.value, r.rest_at) or 0
end

-- Returns the head, with the fingerprint behind it.
local function head_of(r)
    if r.init_key then
        return (r.head or string.sub(r.value, HEAD, BEHIND_HEAD - 1)) .. r.init_key
    end
    return string.sub(r.value, HEAD, r.rest_at - 1)
end

-- Returns the types that the package supports (RES-3); empty when that is not known.
local function support_of(r)
    return r.support or r.support_at and string.sub(r.value, r.support_at, r.package_at - 1) or ''
end

-- Returns the fingerprint of the init key (SAVE-9); empty when that is not known.
local function init_key_of(r)
    return r.init_key or string.sub(r.value, BEHIND_HEAD, r.rest_at - 1)
end

-- Reads a record among others. Returns nil for a damaged record, and logs a warning: one damaged record must not stop a
-- pool.
local function peek(ref, value, taken)
    if not value then
        return nil
    end
    local ok, r = pcall(parse, ref, value, taken)
    if ok then
        return r
    end
    redis.log(redis.LOG_WARNING, 'kp-redis: passed over a record that cannot be read')
    return nil
end

-- Returns what took the package of a record, if anything did.
local function taken_part(ref, value)
    return string.byte(value) == 70 and redis.call('HGET', TAKEN, ref)
end

-- Returns the record of this ref; nil when there is none. Raises UNREADABLE for a damaged record.
local function load(ref)
    local value = redis.call('HGET', RECORDS, ref)
    if not value then
        return nil
    end
    local ok, r = pcall(parse, ref, value, taken_part(ref, value))
    if not ok then
        error(UNREADABLE)
    end
    return r
end

-- Returns the records of these refs, without damaged ones.
local function read_all(refs)
    local found = {}
    for first = 1, #refs, 1000 do
        local page = {unpack(refs, first, math.min(first + 999, #refs))}
        local taken = redis.call('HMGET', TAKEN, unpack(page))
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(page))) do
            found[#found + 1] = peek(page[index], value, taken[index])
        end
    end
    return found
end

-- Calls `visit` with every record, and with nil for each damaged one.
local function each_record(visit)
    local all, taken, parts = redis.call('HGETALL', RECORDS), redis.call('HGETALL', TAKEN), {}
    for at = 1, #taken, 2 do
        parts[taken[at]] = taken[at + 1]
    end
    for at = 1, #all, 2 do
        if all[at] ~= '' then
            visit(peek(all[at], all[at + 1], parts[all[at]]))
        end
    end
end

-- Raises an error that was caught as the server first gave it, its code (READONLY, OOM, ...) at the front. `pcall` gives
-- an error of the server as its text or as a table, by the server's version; `error` alone would put a position before
-- the text.
local function raise(caught)
    if type(caught) == 'string' then
        caught = {err = string.find(caught, '^%u+ ') and caught or 'ERR ' .. caught}
    end
    error(caught)
end

-- Runs one item of a call. A damaged record fails only the item that asks for it.
local function answer(judge, ...)
    local ok, reply = pcall(judge, ...)
    if ok then
        return reply
    elseif reply == MISLED then
        return answer(judge, ...)
    elseif reply == UNREADABLE then
        return {'unreadable'}
    end
    raise(reply)
end

-- Returns whether the package is past its not_after (TIME-1).
local function is_expired(r)
    return r.not_after <= NOW
end

-- Returns whether the package can be handed out, now or once it is valid: it is free, or in its last-resort slot.
local function is_queued(r)
    return r.state == 'F' or r.state == 'S'
end

-- Returns whether the package is taken, and its record still has it.
local function is_taken(r)
    return r.state == 'R' or (r.state == 'U' and r.window == REPLAYABLE)
end

-- Returns when the lease or replay window lapses; nil when there is neither.
local function lapses_at(r)
    return (r.state == 'R' or (r.state == 'U' and r.window > 0)) and r.expires_at or nil
end

-- Returns the record with these fields changed.
local function become(r, changes)
    return setmetatable(changes, {__index = r})
end

-- Returns the record after its lease or window has lapsed (TIME-2, RES-9, REL-1).
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

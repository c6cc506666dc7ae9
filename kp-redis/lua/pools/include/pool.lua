-- Reads the records of a pool. Every script begins with this file.
--
-- KEYS of every script, all in the slot of the pool's bucket
--   1 records           hash  ref -> record; the empty field -> the last sequence given out
--   2 queue             zset  ref at its place: a free package at its sequence, a last-resort slot at minus that
--   3 lapses            zset  ref at the expires_at of its lease or replay window
--   4 ids               hash  reservation id -> the ref that the id is bound to; the empty field -> HINT
--   5 pools             zset  of the bucket: every pool that has a record, all at 0
--   6 pools by expiry   zset  of the bucket: every pool, at its earliest not_after or before
--   7 pools by lapse    zset  of the bucket: every pool with a lease or window, at its earliest expires_at
--   8 init keys         hash  the fingerprints of the records: see init_keys.lua
-- ARGV of every script
--   1 pool id
--   2 now
-- Reply of a call on items: an array for each item, which begins with a tag
--   ok          then the elements that the script's header names
--   no          then the code of the rejection
--   unreadable  nothing more: the record asked for is damaged
--
-- Redis does not roll a script back. So a script reads every key that it may write, and everything else that may fail,
-- before its first write. Lua makes all functions anew at each run, so a script includes only the files that it needs.

local RECORDS, QUEUE, LAPSES, IDS, POOLS, POOLS_BY_EXPIRY, POOLS_BY_LAPSE, INIT_KEYS = unpack(KEYS)
local POOL, NOW = ARGV[1], tonumber(ARGV[2])

-- Raised when a damaged record is asked for by its ref or id.
local UNREADABLE = {}

-- A record begins with its state, a mark and the head: ciphersuite, not_before, not_after, credential. Then follow the
-- fields of the state. Integers are big-endian.
--   F free     saved_at; package
--   S slot     saved_at; package                                             mark: 1 used
--   R leased   saved_at, sequence, expires_at, id, by; package               mark: 1 retire at lapse, 2 or 4 recalled
--   U used     at, id, group, by; in a window: expires_at, reserver;         mark: 1 bound, 2 or 4 in a window
--              while replayable: package
--   T retired, P replaced, W withdrawn: at                                   mark of W: 1 last resort
-- A text follows its length. Length 0 stands for a text that was not given.
-- Of any state, mark + 8: the 8 bytes of the init key's fingerprint follow the head (SAVE-9). Of a state with the package,
-- mark + 16: the package's support, behind its length in 2 bytes, stands before the package (RES-3).
local FACTS, HEAD, BEHIND_HEAD = '>c1BI2I7I7c32', 3, 51
local MAX_TIME = 9007199254740991

local HAS_INIT_KEY, HAS_SUPPORT = 8, 16

-- The hint of a queue: a place, and the latest not_after of the free packages up to that place. From that not_after on,
-- a scan may begin behind the place. The hint holds no time of a call, so it stays true when `now` steps back (TIME-3).
local HINT, HINT_LENGTH = '>I7I7', 14

-- The values of `recalled` (rules::Recall), and those of `window`.
local RETIRED, WITHDRAWN = 1, 2
local RESERVER, REPLAYABLE = 1, 2

local function parse(ref, value)
    local state, mark, suite, not_before, not_after, credential, at = struct.unpack(FACTS, value)
    local beside = (mark - mark % 8) / 8 -- 1 an init key, 2 support
    mark = mark % 8
    local half = (mark - mark % 2) / 2
    local r = {
        ref = ref, state = state, suite = suite, not_before = not_before, not_after = not_after,
        credential = credential, head = string.sub(value, HEAD, BEHIND_HEAD - 1), last = false, init_key = '', support = '',
        value = nil, package_at = nil, bytes = nil,
    }
    if beside % 2 == 1 then
        r.init_key, at = struct.unpack('>c8', value, at)
    end
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
    if packed and beside >= 2 then
        r.support, at = struct.unpack('>I2c0', value, at)
    end
    if packed then
        r.value, r.package_at = value, at
    end
    local length = #value + 1 - at
    local whole = packed and length > 0 and length <= 65535 or not packed and length == 0
    local dated = not_before < not_after and not_after <= MAX_TIME
        and (r.expires_at or 0) <= not_after and (r.at or 0) <= MAX_TIME
    if half > 2 or beside > (packed and 3 or 1) or not (whole and dated) then
        error(UNREADABLE)
    end
    return r
end

-- Returns the package of a record that has one. Lua reads every byte of a string that it makes, 27 us for 15 kB, so this one is
-- made only where it is needed.
local function package_of(r)
    r.bytes = r.bytes or string.sub(r.value, r.package_at)
    return r.bytes
end

-- Reads a record among others. Returns nil for a damaged record, and logs a warning: one damaged record must not stop a
-- pool.
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

-- Returns the record of this ref; nil when there is none. Raises UNREADABLE for a damaged record.
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

-- Calls `visit` with every record, and with nil for each damaged one.
local function each_record(visit)
    local all = redis.call('HGETALL', RECORDS)
    for at = 1, #all, 2 do
        if all[at] ~= '' then
            visit(peek(all[at], all[at + 1]))
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

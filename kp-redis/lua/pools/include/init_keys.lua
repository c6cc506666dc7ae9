-- Finds a fingerprint of an init key among the records of a pool (SAVE-9). Follows changes.lua in the scripts that add or
-- forget records; `forget` is here for that reason.
--
-- The index is a hash of at most 128 buckets, by the fingerprint's first byte modulo 128. A bucket is a row of entries: the
-- fingerprint, then the not_after of its record. The pool's packages share the cost of a few fields, and a small pool's
-- index stays one compact list. Two records of one fingerprint are two entries.

local ENTRY = 15

-- The buckets that were read, and the fields of those that are to be written: once a script, at its end.
local buckets, changed_buckets

local begin_without_buckets = begin
local function begin(keys, arguments)
    begin_without_buckets(keys, arguments)
    buckets, changed_buckets = {}, {}
end

-- Calls `visit` with the not_after of each entry of this fingerprint, and with the entry's place in its bucket, until `visit`
-- returns true. Returns the field of the bucket.
local function each_entry(init_key, visit)
    local field = string.char(string.byte(init_key) % 128)
    buckets[field] = buckets[field] or redis.call('HGET', INIT_KEYS, field) or ''
    local bucket, at = buckets[field], 0
    repeat
        at = string.find(bucket, init_key, at + 1, true)
    until not at or at % ENTRY == 1 and visit(struct.unpack('>I7', bucket, at + 8), at)
    return field
end

-- Returns whether a record that is not past its not_after has this fingerprint.
local function has_init_key(init_key)
    local found = false
    each_entry(init_key, function(not_after)
        found = not_after > NOW
        return found
    end)
    return found
end

-- Adds the fingerprint of a record, if the record has one.
local function add_init_key(r)
    local init_key = init_key_of(r)
    if init_key ~= '' then
        local field = each_entry(init_key, function() return true end)
        buckets[field] = buckets[field] .. struct.pack('>c8I7', init_key, r.not_after)
        changed_buckets[field] = true
    end
end

local function forget(r)
    unlist(r, nil)
    redis.call('HDEL', RECORDS, r.ref)
    if is_taken(r) then
        redis.call('HDEL', TAKEN, r.ref)
    end
    local init_key = init_key_of(r)
    if init_key ~= '' then
        local place
        local field = each_entry(init_key, function(not_after, at)
            place = not_after == r.not_after and at or nil
            return place
        end)
        if place then
            local bucket = buckets[field]
            buckets[field] = string.sub(bucket, 1, place - 1) .. string.sub(bucket, place + ENTRY)
            changed_buckets[field] = true
        end
    end
end

-- Writes the buckets, then ends as every script does.
local finish_without_buckets = finish
local function finish(reply)
    for field in pairs(changed_buckets) do
        if buckets[field] == '' then
            redis.call('HDEL', INIT_KEYS, field)
        else
            redis.call('HSET', INIT_KEYS, field, buckets[field])
        end
    end
    return finish_without_buckets(reply)
end

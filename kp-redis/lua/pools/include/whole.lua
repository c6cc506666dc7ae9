-- Reads whole keys of a pool, for the scripts that hold them against the records. Follows init_keys.lua.

-- Returns a hash or a sorted set as a table.
local function table_of(flat)
    local found = {}
    for at = 1, #flat, 2 do
        found[flat[at]] = flat[at + 1]
    end
    return found
end

-- Returns the sequence that a place in the queue stands for, and whether the place is a slot's; nil for an impossible one.
local function sequence_at(score)
    local place = tonumber(score)
    local sequence = place and math.abs(place)
    if sequence and sequence > 0 and sequence <= MAX_TIME and sequence % 1 == 0 then
        return sequence, place < 0
    end
end

-- Returns whether the record is F: the package is free, or taken.
local function is_of_free(value)
    return value and string.byte(value) == 70
end

-- Returns how many keys of the pool hold a value of another type. Nothing can be read of such a pool.
local function keys_of_another_type()
    local count = 0
    local function look(size)
        if type(size) == 'table' then
            if not string.find(size.err, '^WRONGTYPE') then
                error(size)
            end
            count = count + 1
        end
    end
    for _, key in ipairs({RECORDS, IDS, TAKEN, INIT_KEYS}) do
        look(redis.pcall('HLEN', key))
    end
    for _, key in ipairs({QUEUE, LAPSES}) do
        look(redis.pcall('ZCARD', key))
    end
    return count
end

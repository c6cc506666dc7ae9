-- apply: changes a client's metadata, if its fence is current and all rows still are as they were read.
-- Rules: META-1, META-2, META-3, META-5, META-6. MetadataChanges::decide has decided, in Rust, what each row becomes.
--
-- KEYS    1 rows   hash  ref -> row
--         2 state  hash  record -> the pool's record, lease:NAME -> a lease, which begins with its fence
-- ARGV    1 the field of the fence's lease; empty: no fence
--         2 the fence
--         3 the new record; empty: the record stays
--         4 how many rows; for each row: ref, the row as it was read, the new row; empty stands for no row
--         the rest: refs of rows to delete
-- Reply   how many rows were deleted; -1 when a row is not as it was read, -2 when the fence is not current: nothing was
--         changed then

return function(KEYS, ARGV)
    local ROWS, STATE = KEYS[1], KEYS[2]

    -- Returns the reply of a script that may have written nothing. A replica refuses to remove a field that is never there,
    -- since no ref is empty: so a demoted master answers nothing from what it last knew.
    local function finish(reply)
        local write = redis.pcall('HDEL', ROWS, '')
        if type(write) == 'table' and string.find(write.err, '^READONLY') then
            error(write)
        end
        return reply
    end

    -- META-5: the fence comes first.
    local lease = ARGV[1] ~= '' and redis.call('HGET', STATE, ARGV[1])
    if ARGV[1] ~= '' and string.sub(lease or '', 1, #ARGV[2]) ~= ARGV[2] then
        return finish(-2)
    end
    local last = 4 + 3 * tonumber(ARGV[4])
    for at = 5, last, 3 do
        local found = redis.call('HGET', ROWS, ARGV[at])
        -- An empty row is damaged. It must not be taken for an absent row.
        if found == '' or (found or '') ~= ARGV[at + 1] then
            return finish(-1)
        end
    end
    -- If the key of the record is foreign, this fails before anything is written.
    if ARGV[3] ~= '' then
        redis.call('HGET', STATE, 'record')
    end
    -- What may be refused for want of memory comes before what is not.
    for at = 5, last, 3 do
        if ARGV[at + 2] ~= '' then
            redis.call('HSET', ROWS, ARGV[at], ARGV[at + 2])
        end
    end
    if ARGV[3] ~= '' then
        redis.call('HSET', STATE, 'record', ARGV[3])
    end
    local deleted = 0
    for at = last + 1, #ARGV do
        deleted = deleted + redis.call('HDEL', ROWS, ARGV[at])
    end
    return finish(deleted)
end

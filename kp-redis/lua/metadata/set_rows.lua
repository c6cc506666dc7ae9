-- create_pool_metadata, update_pool_status: sets rows of a client's metadata, if all still are as they were read.
-- Rules: META-1, META-2. KeyPackageMetadata::step_all has decided, in Rust, what each row becomes.
--
-- KEYS    1 rows  hash  ref -> row
-- ARGV    for each row: ref, the row as it was read, the new row; empty stands for no row
-- Reply   1; 0 when a row is not as it was read, and nothing was changed

local ROWS = KEYS[1]

-- Returns the reply of a script that may have written nothing. A replica refuses to remove a field that is never there,
-- since no ref is empty: so a demoted master answers nothing from what it last knew.
local function finish(reply)
    local write = redis.pcall('HDEL', ROWS, '')
    if type(write) == 'table' and string.find(write.err, '^READONLY') then
        error(write)
    end
    return reply
end

for at = 1, #ARGV, 3 do
    local found = redis.call('HGET', ROWS, ARGV[at])
    -- An empty row is damaged. It must not be taken for an absent row.
    if found == '' or (found or '') ~= ARGV[at + 1] then
        return finish(0)
    end
end
for at = 1, #ARGV, 3 do
    if ARGV[at + 2] ~= '' then
        redis.call('HSET', ROWS, ARGV[at], ARGV[at + 2])
    end
end
return finish(1)

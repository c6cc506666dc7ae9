-- create_pool_metadata, update_pool_status: sets the rows of a client's own packages, if all still are as they were read.
-- Rules: META-1, META-2. What a row may become is decided by Metadata::step_all, before and in Rust.
--
-- KEYS    1 rows  hash  ref -> row
-- ARGV    for each row: ref; the row as it was read; the row to be; empty where there is none
-- Reply   1, or 0 when one is not as it was read: then nothing changed

local ROWS = KEYS[1]

for at = 1, #ARGV, 3 do
    local found = redis.call('HGET', ROWS, ARGV[at])
    -- No row is empty: one that is has been damaged, and is not taken for none.
    if found == '' or (found or '') ~= ARGV[at + 1] then
        return 0
    end
end
for at = 1, #ARGV, 3 do
    if ARGV[at + 2] ~= '' then
        redis.call('HSET', ROWS, ARGV[at], ARGV[at + 2])
    end
end
return 1

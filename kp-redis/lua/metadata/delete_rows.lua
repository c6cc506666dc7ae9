-- delete_pool_metadata: deletes rows of a client's metadata.
-- Rules: META-3
--
-- KEYS    1 rows  hash  ref -> row
-- ARGV    the refs
-- Reply   how many rows were deleted

local deleted = 0
for _, ref in ipairs(ARGV) do
    deleted = deleted + redis.call('HDEL', KEYS[1], ref)
end
return deleted

-- META-5: reads a lease.
-- Parameters: 1 name.
-- Result: no row or one; rowid, holder, fence, since, until.
SELECT rowid, holder, fence, since, until
FROM keypackage_pool_metadata_leases
WHERE name = ?1

-- Deletes a lease or window (TIME-2, SPEND-2, REL-1).
-- Parameters: 1 the package's key.
DELETE FROM keypackage_pool_leases
WHERE key = ?1

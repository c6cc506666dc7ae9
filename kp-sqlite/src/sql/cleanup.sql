-- SWEEP-1: deletes expired records. A trigger deletes their leases.
-- Parameters: 1 the pool's key, 2 now, 3 how many.
DELETE FROM keypackage_pool_packages
WHERE key IN (
    SELECT key
    FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry
    WHERE pool = ?1 AND not_after <= ?2
    ORDER BY not_after, key
    LIMIT ?3
)

-- SAVE-6: counts the unexpired records.
-- Parameters: 1 the pool's key, 2 now. Result: one row.
SELECT count(*)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry
WHERE pool = ?1 AND not_after > ?2

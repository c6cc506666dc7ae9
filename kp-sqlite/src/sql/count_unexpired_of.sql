-- SAVE-6: counts the unexpired records of one role.
-- Parameters: 1 the pool's key, 2 now, 3 whether last-resort packages are counted (1), or one-time packages (0).
-- Result: one row.
SELECT count(*)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry
WHERE pool = ?1 AND not_after > ?2 AND (state IN (1, 2, 12, 13)) = ?3

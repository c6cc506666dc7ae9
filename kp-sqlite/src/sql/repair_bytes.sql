-- SPEND-4: drops the bytes of what is spent.
-- Parameters: 1 the pool's key.
UPDATE keypackage_pool_packages
SET bytes = NULL, support = NULL
WHERE pool = ?1 AND state >= 9 AND bytes IS NOT NULL

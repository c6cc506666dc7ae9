-- SPEND-4, RES-3: drops the bytes and the support of what is spent.
-- Parameters: 1 the pool's key.
UPDATE keypackage_pool_packages
SET bytes = NULL, support = NULL
WHERE pool = ?1 AND state >= 9 AND (bytes IS NOT NULL OR support IS NOT NULL)

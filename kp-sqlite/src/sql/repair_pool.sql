-- SAVE-6, RES-2, SWEEP-1, COST-1: counts the records of a pool, and finds its bounds, anew.
-- Parameters: 1 the pool's key.
UPDATE keypackage_pools
SET
    records = (SELECT count(*) FROM keypackage_pool_packages WHERE pool = ?1),
    last_sequence = max(last_sequence, (SELECT max(key) FROM keypackage_pool_packages WHERE pool = ?1)),
    next_expiry = (SELECT min(not_after) FROM keypackage_pool_packages WHERE pool = ?1),
    unspent_from = coalesce(
        (SELECT min(key) FROM keypackage_pool_packages WHERE pool = ?1 AND state = 0),
        (SELECT max(key) FROM keypackage_pool_packages WHERE pool = ?1)
    )
WHERE key = ?1 AND EXISTS (SELECT 1 FROM keypackage_pool_packages WHERE pool = ?1)

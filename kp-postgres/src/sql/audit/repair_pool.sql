-- SAVE-6, RES-2, SWEEP-1, SWEEP-2: counts the records of a pool, and finds its bounds, anew.
-- Parameters: 1 pool.
UPDATE {schema}.keypackage_pools AS q
SET
    records = (SELECT count(*) FROM {schema}.keypackage_pool_packages WHERE pool = q.key),
    last_sequence = greatest(
        q.last_sequence, (SELECT max(seq) FROM {schema}.keypackage_pool_packages WHERE pool = q.key)
    ),
    sweep_at = coalesce(
        (SELECT min(not_after) FROM {schema}.keypackage_pool_packages WHERE pool = q.key), 9007199254740991
    ),
    settle_at = coalesce(
        (SELECT min(ends_at) FROM {schema}.keypackage_pool_leases WHERE pool = q.key), 9007199254740991
    )
WHERE q.pool = $1::bytea

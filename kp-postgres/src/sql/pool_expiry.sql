-- SWEEP-1: raises sweep_at.
-- Parameters: 1 keys.
UPDATE {schema}.keypackage_pools AS q
SET sweep_at = coalesce((SELECT min(p.not_after) FROM {schema}.keypackage_pool_packages AS p WHERE p.pool = q.key), 9007199254740991)
WHERE q.key = ANY ($1::bigint[])

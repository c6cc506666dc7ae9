-- SWEEP-2: raises settle_at, in steps of 1,024 seconds.
-- Parameters: 1 keys.
UPDATE {schema}.keypackage_pools AS q
SET settle_at = coalesce((SELECT min(l.ends_at) / 1024 * 1024 FROM {schema}.keypackage_pool_leases AS l WHERE l.pool + 1 = q.key + 1), 9007199254740991)
WHERE q.key = ANY ($1::bigint[])

-- RES-5: binds the reservations of leases and uses, once the rows that lead astray are gone.
-- Parameters: 1 pool.
INSERT INTO {schema}.keypackage_pool_ids (pool, seq, id)
SELECT q.key, bound.seq, bound.id
FROM {schema}.keypackage_pools AS q
CROSS JOIN LATERAL (
    SELECT seq, id FROM {schema}.keypackage_pool_packages WHERE pool = q.key AND id IS NOT NULL
    UNION SELECT seq, id FROM {schema}.keypackage_pool_leases WHERE pool = q.key
) AS bound
WHERE q.pool = $1::bytea
ON CONFLICT (pool, id) DO NOTHING

-- RES-5: deletes the rows of reservations that are not bound so.
-- Parameters: 1 pool.
DELETE FROM {schema}.keypackage_pool_ids AS i
USING {schema}.keypackage_pools AS q
WHERE q.pool = $1::bytea AND i.pool = q.key
    AND NOT EXISTS (
        SELECT FROM {schema}.keypackage_pool_packages AS p WHERE p.pool = i.pool AND p.seq = i.seq AND p.id = i.id
    )
    AND NOT EXISTS (
        SELECT FROM {schema}.keypackage_pool_leases AS l WHERE l.pool = i.pool AND l.seq = i.seq AND l.id = i.id
    )

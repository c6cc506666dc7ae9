-- RES-1, RES-5: retires, at the time it was saved, what is free beside a reservation that nothing else is bound to: its lease is lost, and
-- it may have been handed out.
-- Parameters: 1 pool.
UPDATE {schema}.keypackage_pool_packages AS p
SET state = 10, spent_at = p.saved_at
FROM {schema}.keypackage_pools AS q
WHERE q.pool = $1::bytea AND p.pool = q.key AND p.state = 0
    AND NOT EXISTS (SELECT FROM {schema}.keypackage_pool_leases AS l WHERE l.pool = p.pool AND l.seq = p.seq)
    AND EXISTS (
        SELECT FROM {schema}.keypackage_pool_ids AS i
        WHERE i.pool = p.pool AND i.seq = p.seq
            AND NOT EXISTS (SELECT FROM {schema}.keypackage_pool_leases AS l WHERE l.pool = i.pool AND l.id = i.id)
            AND NOT EXISTS (SELECT FROM {schema}.keypackage_pool_packages AS o WHERE o.pool = i.pool AND o.id = i.id)
    )

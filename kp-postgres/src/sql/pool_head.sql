-- COST-1: moves the heads of pools up to the first record in state 0, where that is 16 places or more.
-- Parameters: 1 keys.
UPDATE {schema}.keypackage_pools AS q
SET head = coalesce(
    (
        SELECT p.seq
        FROM {schema}.keypackage_pool_packages AS p
        WHERE p.pool = q.key AND p.seq >= q.head AND p.state = 0
        ORDER BY p.seq
        LIMIT 1
    ),
    q.last_sequence + 1
)
WHERE q.key = ANY ($1::bigint[]) AND q.head + 16 <= coalesce(
    (
        SELECT p.seq
        FROM {schema}.keypackage_pool_packages AS p
        WHERE p.pool = q.key AND p.seq >= q.head AND p.state = 0
        ORDER BY p.seq
        LIMIT 1
    ),
    q.last_sequence + 1
)

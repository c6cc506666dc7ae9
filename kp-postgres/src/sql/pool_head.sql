-- COST-1: moves the heads of pools up to the first record in state 0 that has not expired, where that is 16 places or more. A head
-- holds from the moment on at which the last record in state 0 before it expires: also for a clock behind the caller's.
-- Parameters: 1 keys, 2 moments.
INSERT INTO {schema}.keypackage_pool_heads AS h (pool, head, since)
SELECT q.key, found.head, passed.since
FROM unnest($1::bigint[], $2::bigint[]) AS w (key, moment)
CROSS JOIN LATERAL (SELECT * FROM {schema}.keypackage_pools WHERE key = w.key OFFSET 0) AS q
CROSS JOIN LATERAL {head} AS old
CROSS JOIN LATERAL (
    SELECT coalesce(
        (
            SELECT p.seq
            FROM {schema}.keypackage_pool_packages AS p
            WHERE p.pool = q.key AND p.seq >= old.head AND p.state = 0 AND p.not_after > w.moment
            ORDER BY p.seq
            LIMIT 1
        ),
        q.last_sequence + 1
    ) AS head
    OFFSET 0
) AS found
CROSS JOIN LATERAL (
    SELECT coalesce(max(p.not_after), 0) AS since
    FROM {schema}.keypackage_pool_packages AS p
    WHERE p.pool = q.key AND p.seq >= old.head AND p.seq < found.head AND p.state = 0
    OFFSET 0
) AS passed
WHERE old.head + 16 <= found.head
ON CONFLICT (pool) DO UPDATE
SET head = excluded.head, since = greatest(h.since, excluded.since)
WHERE h.head + 16 <= excluded.head

-- Parameters: 1 pools, each once, 2 ids, 3 now, 4 seconds.
WITH taken AS MATERIALIZED (
    SELECT w.pool, w.id, f.key
    FROM unnest($1::bytea[], $2::bytea[]) AS w (pool, id)
    JOIN floor_pools AS q ON q.pool = w.pool
    CROSS JOIN LATERAL (
        SELECT key FROM floor_packages
        WHERE pool = q.key AND state = 0 AND not_before <= $3::bigint AND $3 < not_after
        ORDER BY key
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS f
)
UPDATE floor_packages AS p SET state = 1, id = t.id, at = least($3 + $4::bigint, p.not_after)
FROM taken AS t
WHERE p.key = t.key
RETURNING p.ref, p.suite, p.not_before, p.not_after, p.credential, p.bytes, t.pool, t.id

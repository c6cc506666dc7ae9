-- SAVE-6: counts the records that have not expired. Asked only once something may have expired, or a memory is full.
-- Parameters: 1 pools, 2 moments, 3 roles: NULL for both, else whether last resort.
-- Result: number of the look-up, count.
SELECT w.n, remembered.count
FROM unnest($1::bytea[], $2::bigint[], $3::boolean[]) WITH ORDINALITY AS w (pool, moment, last_resort, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT count(*)
    FROM {schema}.keypackage_pool_packages AS p
    WHERE p.pool = q.key AND p.not_after > w.moment AND (w.last_resort IS NULL OR w.last_resort = (p.state IN (1, 2, 12, 13)))
) AS remembered

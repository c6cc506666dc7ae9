-- SAVE-9: finds an unexpired record with a fingerprint. One is enough.
-- Parameters: 1 pools, 2 fingerprints, 3 moments.
-- Result: number of the look-up, the record.
SELECT w.n, {record}
FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) WITH ORDINALITY AS w (pool, fingerprint, moment, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT *
    FROM {schema}.keypackage_pool_packages
    WHERE pool + 2 = q.key + 2 AND fingerprint = w.fingerprint AND not_after > w.moment
    LIMIT 1
) AS p
LEFT JOIN LATERAL {lease} AS l ON true

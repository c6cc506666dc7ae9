-- Counts what belongs to no pool, and what SQLite finds wrong with the indexes, and otherwise with the tables. Goes through them.
-- Parameters: 1 how many indexes and triggers are missing. Result: one row of counts, in the order of audit.rs.
SELECT
    (
        SELECT count(*) FROM keypackage_pool_packages AS p
        WHERE NOT EXISTS (SELECT 1 FROM keypackage_pools WHERE key = p.pool)
    ) + (
        SELECT count(*) FROM keypackage_pool_leases AS l
        WHERE NOT EXISTS (SELECT 1 FROM keypackage_pools WHERE key = l.pool)
    ),
    coalesce(sum(says LIKE '%index%'), 0) + ?1,
    coalesce(sum(says NOT LIKE '%index%' AND says <> 'ok'), 0)
FROM (
    SELECT integrity_check AS says FROM pragma_integrity_check('keypackage_pools')
    UNION ALL SELECT integrity_check FROM pragma_integrity_check('keypackage_pool_packages')
    UNION ALL SELECT integrity_check FROM pragma_integrity_check('keypackage_pool_leases')
)

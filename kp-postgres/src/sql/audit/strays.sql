-- Counts the rows that belong to no pool. Goes through all tables.
-- Result: one row with one count.
SELECT count(*)
FROM (
    SELECT pool FROM {schema}.keypackage_pool_packages
    UNION ALL SELECT pool FROM {schema}.keypackage_pool_leases
    UNION ALL SELECT pool FROM {schema}.keypackage_pool_heads
    UNION ALL SELECT pool FROM {schema}.keypackage_pool_ids
) AS kept
WHERE NOT EXISTS (SELECT FROM {schema}.keypackage_pools WHERE key = kept.pool)

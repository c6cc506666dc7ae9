-- Deletes the rows that belong to no pool.
WITH packages AS (
    DELETE FROM {schema}.keypackage_pool_packages AS p
    WHERE NOT EXISTS (SELECT FROM {schema}.keypackage_pools WHERE key = p.pool)
), leases AS (
    DELETE FROM {schema}.keypackage_pool_leases AS l
    WHERE NOT EXISTS (SELECT FROM {schema}.keypackage_pools WHERE key = l.pool)
), heads AS (
    DELETE FROM {schema}.keypackage_pool_heads AS h
    WHERE NOT EXISTS (SELECT FROM {schema}.keypackage_pools WHERE key = h.pool)
)
DELETE FROM {schema}.keypackage_pool_ids AS i
WHERE NOT EXISTS (SELECT FROM {schema}.keypackage_pools WHERE key = i.pool)

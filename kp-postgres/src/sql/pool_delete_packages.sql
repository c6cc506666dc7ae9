-- DEL-1: deletes all records of pools.
-- Parameters: 1 keys.
DELETE FROM {schema}.keypackage_pool_packages
WHERE pool = ANY ($1::bigint[])

-- DEL-1: deletes all leases of pools.
-- Parameters: 1 keys.
DELETE FROM {schema}.keypackage_pool_leases
WHERE pool = ANY ($1::bigint[])

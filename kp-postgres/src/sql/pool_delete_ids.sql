-- DEL-1: forgets all reservations of pools.
-- Parameters: 1 keys.
DELETE FROM {schema}.keypackage_pool_ids
WHERE pool = ANY ($1::bigint[])

-- DEL-1, SWEEP-1: deletes pools without records.
-- Parameters: 1 keys.
DELETE FROM {schema}.keypackage_pools
WHERE key = ANY ($1::bigint[])

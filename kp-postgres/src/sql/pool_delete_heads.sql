-- DEL-1, SWEEP-1: deletes the heads of pools without records.
-- Parameters: 1 keys.
DELETE FROM {schema}.keypackage_pool_heads
WHERE pool = ANY ($1::bigint[])

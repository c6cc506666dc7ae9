-- READ-5: deletes a pool that has no record.
-- Parameters: 1 pool.
DELETE FROM {schema}.keypackage_pools
WHERE pool = $1::bytea AND records = 0

-- META-5: reads a lease.
-- Parameters: 1 client, 2 name.
-- Result: no row or one; holder, fence, since, until.
SELECT holder, fence, since, until
FROM {schema}.keypackage_pool_metadata_leases
WHERE client = (SELECT key FROM {schema}.keypackage_pool_clients WHERE client = $1::bytea) AND name = $2::text

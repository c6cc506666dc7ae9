-- META-5: writes a lease.
-- Parameters: 1 client, 2 name, 3 holder, 4 fence, 5 since, 6 until.
INSERT INTO {schema}.keypackage_pool_metadata_leases (client, name, holder, fence, since, until)
VALUES ((SELECT key FROM {schema}.keypackage_pool_clients WHERE client = $1::bytea), $2::text, $3::bytea, $4::bigint, $5::bigint, $6::bigint)
ON CONFLICT (client, name) DO UPDATE
SET holder = excluded.holder, fence = excluded.fence, since = excluded.since, until = excluded.until

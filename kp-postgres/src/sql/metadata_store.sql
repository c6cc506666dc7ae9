-- META-1, META-2: writes rows. Of a row that is there, the lifecycle and its times change.
-- Parameters: 1 client, 2 to 16 the columns of metadata_list.
INSERT INTO {schema}.keypackage_pool_metadata (
    client, ref, status, created_at, offered_at, uploaded_at, reserved_at, spent_at, not_before, not_after, delete_at, join_holder,
    join_until, ciphersuite, last_resort, credential
)
SELECT (SELECT key FROM {schema}.keypackage_pool_clients WHERE client = $1::bytea), w.*
FROM unnest(
    $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bytea[], $13::bigint[], $14::bigint[], $15::boolean[], $16::bytea[]
) AS w
ON CONFLICT (client, ref) DO UPDATE
SET
    status = excluded.status,
    offered_at = excluded.offered_at,
    uploaded_at = excluded.uploaded_at,
    reserved_at = excluded.reserved_at,
    spent_at = excluded.spent_at,
    delete_at = excluded.delete_at,
    join_holder = excluded.join_holder,
    join_until = excluded.join_until

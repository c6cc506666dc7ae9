-- META-3: reads rows.
-- Parameters: 1 client, 2 refs.
-- Result: columns as in metadata_list.
SELECT
    ref, status, created_at, offered_at, uploaded_at, reserved_at, spent_at, not_before, not_after, delete_at, join_holder,
    join_until, ciphersuite, last_resort, credential
FROM {schema}.keypackage_pool_metadata
WHERE client = (SELECT key FROM {schema}.keypackage_pool_clients WHERE client = $1::bytea) AND ref = ANY ($2::bytea[])

-- META-3: reads all rows of a client, the oldest first.
-- Parameters: 1 client.
SELECT
    ref, status, created_at, offered_at, uploaded_at, reserved_at, spent_at, not_before, not_after, delete_at, join_holder,
    join_until, ciphersuite, last_resort, credential
FROM {schema}.keypackage_pool_metadata
WHERE client = (SELECT key FROM {schema}.keypackage_pool_clients WHERE client = $1::bytea)
ORDER BY created_at, ref

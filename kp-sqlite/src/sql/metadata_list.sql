-- META-3: reads all rows, the oldest first. This is a scan: a client has few rows.
-- Result: rowid, keypackage_ref, status, delete_at, created_at, uploaded_at, reserved_at, spent_at, not_after,
-- ciphersuite, last_resort, credential hash, offered_at, join_holder, join_until, not_before.
SELECT
    metadata.rowid, keypackage_ref, status, delete_at, created_at, uploaded_at, reserved_at, spent_at, not_after,
    ciphersuite, last_resort, hash, offered_at, join_holder, join_until, not_before
FROM keypackage_pool_metadata AS metadata
LEFT JOIN keypackage_pool_credentials AS credentials ON credentials.key = metadata.credential
ORDER BY created_at, keypackage_ref

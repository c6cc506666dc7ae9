-- META-3: reads a row.
-- Parameters: 1 ref.
-- Result: no row or one; columns as in metadata_list.
SELECT
    metadata.rowid, keypackage_ref, status, delete_at, created_at, uploaded_at, reserved_at, spent_at, not_after,
    ciphersuite, last_resort, hash, offered_at, join_holder, join_until, not_before
FROM keypackage_pool_metadata AS metadata
LEFT JOIN keypackage_pool_credentials AS credentials ON credentials.key = metadata.credential
WHERE keypackage_ref = ?1

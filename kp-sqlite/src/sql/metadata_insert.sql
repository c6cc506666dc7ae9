-- META-1: inserts a row with a new ref, after metadata_credential.
-- Parameters: 1 ref, 2 status, 3 delete_at, 4 created_at, 5 uploaded_at, 6 reserved_at, 7 spent_at, 8 not_after,
-- 9 ciphersuite, 10 last_resort, 11 credential hash.
INSERT INTO keypackage_pool_metadata (
    keypackage_ref, status, delete_at, created_at, uploaded_at, reserved_at, spent_at, not_after, ciphersuite,
    last_resort, credential
)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, key
FROM keypackage_pool_credentials
WHERE hash = ?11

-- META-1, META-2: writes a row, after metadata_credential. Of a row that is there, the lifecycle and its times change.
-- Parameters: 1 ref, 2 status, 3 delete_at, 4 created_at, 5 uploaded_at, 6 reserved_at, 7 spent_at, 8 not_after,
-- 9 ciphersuite, 10 last_resort, 11 credential hash, 12 offered_at, 13 join_holder, 14 join_until, 15 not_before.
INSERT INTO keypackage_pool_metadata (
    keypackage_ref, status, delete_at, created_at, uploaded_at, reserved_at, spent_at, not_after, ciphersuite,
    last_resort, credential, offered_at, join_holder, join_until, not_before
)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, key, ?12, ?13, ?14, ?15
FROM keypackage_pool_credentials
WHERE hash = ?11
ON CONFLICT (keypackage_ref) DO UPDATE
SET
    status = excluded.status,
    delete_at = excluded.delete_at,
    offered_at = excluded.offered_at,
    uploaded_at = excluded.uploaded_at,
    reserved_at = excluded.reserved_at,
    spent_at = excluded.spent_at,
    join_holder = excluded.join_holder,
    join_until = excluded.join_until

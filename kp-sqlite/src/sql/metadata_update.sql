-- META-2: updates the lifecycle of a row and its times.
-- Parameters: 1 ref, 2 status, 3 delete_at, 4 uploaded_at, 5 reserved_at, 6 spent_at.
UPDATE keypackage_pool_metadata
SET status = ?2, delete_at = ?3, uploaded_at = ?4, reserved_at = ?5, spent_at = ?6
WHERE keypackage_ref = ?1

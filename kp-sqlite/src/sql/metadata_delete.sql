-- META-3: deletes a row. The hash of its credential stays.
-- Parameters: 1 ref.
DELETE FROM keypackage_pool_metadata
WHERE keypackage_ref = ?1

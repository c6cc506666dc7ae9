-- Adds whose a join is (POOL-7) and when a package begins to be valid (POOL-8). No column can hold a key or a KeyPackage
-- (META-4). An older row has neither: NULL.

-- Random bytes that a process chose, while the package is joined with.
ALTER TABLE keypackage_pool_metadata ADD COLUMN join_holder BLOB CHECK (
    join_holder IS NULL OR (length(join_holder) = 16 AND status = 'joining')
);

ALTER TABLE keypackage_pool_metadata ADD COLUMN join_until INTEGER CHECK (
    (join_until IS NULL) = (join_holder IS NULL) AND (join_until IS NULL OR join_until >= 0)
);

ALTER TABLE keypackage_pool_metadata ADD COLUMN not_before INTEGER CHECK (not_before >= 0);

-- No statement looks rows up by these: a client has few rows, and reads them all (META-3).
DROP INDEX keypackage_pool_metadata_status;

DROP INDEX keypackage_pool_metadata_expiry;

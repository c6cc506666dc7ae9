-- Adds what several processes over one storage need (META-1, META-5, META-6). No column can hold a key or a KeyPackage
-- (META-4).

-- When the first upload that names the package began.
ALTER TABLE keypackage_pool_metadata ADD COLUMN offered_at INTEGER CHECK (offered_at >= 0);

-- Nobody knows of an older row whether it was uploaded. So it counts as offered when it was made: none is taken for
-- one that was certainly never on the server.
UPDATE keypackage_pool_metadata SET offered_at = created_at;

-- The leases, also those that have ended: no fence is given out twice.
CREATE TABLE keypackage_pool_metadata_leases (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 16),
    -- Random bytes that a process chose.
    holder BLOB NOT NULL CHECK (length(holder) = 16),
    fence INTEGER NOT NULL CHECK (fence >= 1),
    since INTEGER NOT NULL CHECK (since >= 0),
    until INTEGER NOT NULL CHECK (until >= since)
) STRICT;

-- The record of the pool: numbers, each under its key.
CREATE TABLE keypackage_pool_metadata_record (
    key INTEGER PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;

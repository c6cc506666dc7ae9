-- The migrations applied to this file, by whose tables they are (a server's pools, a client's metadata): whatever else it
-- holds has others.
CREATE TABLE IF NOT EXISTS keypackage_pool_schema (
    tables TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tables, version)
) STRICT, WITHOUT ROWID

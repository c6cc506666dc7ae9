-- Creates the table of the migrations that were applied to this file, for each set of tables (a server's pools, a client's
-- metadata). Other tables of the file have migrations of their own.
CREATE TABLE IF NOT EXISTS keypackage_pool_schema (
    tables TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tables, version)
) STRICT, WITHOUT ROWID

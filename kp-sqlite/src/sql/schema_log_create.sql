-- Creates the table of the mark that tells to which file a write-ahead log belongs. Other tables of the file have no part in
-- it: it is as it is, whatever set of tables the file was opened for.
CREATE TABLE IF NOT EXISTS keypackage_pool_log (
    key INTEGER PRIMARY KEY CHECK (key = 1),
    -- Random numbers, and numbers of SQLite's header: see src/file/mark.rs.
    mark BLOB NOT NULL CHECK (length(mark) = 40)
) STRICT

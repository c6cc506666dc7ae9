-- Lists the tables of this crate that the file has.
-- Result: their names.
SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'keypackage_pool*'

-- Reads a number that changes whenever another connection has committed to the file.
-- Result: one row.
PRAGMA data_version

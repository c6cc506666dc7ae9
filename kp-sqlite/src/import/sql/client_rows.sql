-- Reads the rows of the older client table. The importer does not look at the columns with keys.
-- Result: all columns, by their names.
SELECT rowid AS key, *
FROM keypackages
ORDER BY rowid

-- The rows of the origin's client table. What holds keys is not among the columns that are looked at.
-- Result: all columns, by their names.
SELECT rowid AS key, *
FROM keypackages
ORDER BY rowid

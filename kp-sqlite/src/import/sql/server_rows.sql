-- Reads a page of the older server table. Each row has a fresh id, for a reservation whose own id is no UUID.
-- Parameters: 1 the rowid after which to go on, 2 how many.
-- Result: all columns, by their names.
SELECT rowid AS key, randomblob(16) AS fresh_id, *
FROM keypackages
WHERE rowid > ?1
ORDER BY rowid
LIMIT ?2

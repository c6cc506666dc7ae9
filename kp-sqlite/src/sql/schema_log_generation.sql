-- Draws the number of a new mark.
-- Result: one row.
SELECT randomblob(8)

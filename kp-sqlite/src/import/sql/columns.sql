-- The columns of the origin's table, if it is there. (A table-valued pragma is read whole: some ten columns.)
-- Result: their names.
SELECT name
FROM pragma_table_info('keypackages')

-- Another number whenever somebody else has committed to the file since the last transaction of this connection.
-- Result: one row.
PRAGMA data_version

-- Rolls a transaction back (ERR-1).
ROLLBACK

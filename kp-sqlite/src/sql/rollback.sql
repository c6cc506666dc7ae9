-- Undoes a step (ERR-1).
ROLLBACK

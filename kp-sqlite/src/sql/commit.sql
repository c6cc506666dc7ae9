-- Commits a transaction. From here on, its calls may be answered (ERR-5).
COMMIT

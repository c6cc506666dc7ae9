-- Inserts the row of a pool, with its first record.
-- Parameters: 1 the pool id, 2 records, 3 last_sequence, 4 credential, 5 next_expiry, 6 unspent_from. Result: its key.
INSERT INTO keypackage_pools (pool, records, last_sequence, credential, next_expiry, unspent_from)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
RETURNING key

-- Stores the lease or window of a KeyPackage, and replaces the one it had.
-- Parameters: 1 its key, 2 the pool's key, 3 state, 4 id, 5 lapses_at, 6 reserver, 7 spent_at, 8 spender, 9 group_id.
INSERT INTO keypackage_pool_leases (key, pool, state, id, lapses_at, reserver, spent_at, spender, group_id)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (key) DO UPDATE
SET state = ?3, id = ?4, lapses_at = ?5, reserver = ?6, spent_at = ?7, spender = ?8, group_id = ?9

-- Another state of a record, and another binding (RES-5).
-- Parameters: 1 its key, 2 state, 3 reserver, 4 ends_at, 5 spent_at, 6 spender, 7 group_id, 8 whether its bytes are kept
-- (SPEND-4, LAST-1), 9 id, 10 former_id.
UPDATE keypackage_pool_packages
SET state = ?2, reserver = ?3, ends_at = ?4, spent_at = ?5, spender = ?6, group_id = ?7, bytes = iif(?8, bytes, NULL),
    id = ?9, former_id = ?10
WHERE key = ?1

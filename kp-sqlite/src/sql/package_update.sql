-- Updates the state of a record.
-- Parameters: 1 its key, 2 state, 3 id, 4 former_id, 5 spent_at, 6 spender, 7 group_id, 8 whether its bytes are kept,
-- and its support with them (SPEND-4, LAST-1, RES-3).
UPDATE keypackage_pool_packages
SET state = ?2, id = ?3, former_id = ?4, spent_at = ?5, spender = ?6, group_id = ?7, bytes = iif(?8, bytes, NULL),
    support = iif(?8, support, NULL)
WHERE key = ?1

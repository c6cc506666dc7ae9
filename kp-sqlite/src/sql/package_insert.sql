-- A new record: free, or a last resort in its slot.
-- Parameters: 1 key, 2 the pool's key, 3 ref, 4 tag, 5 suite, 6 not_before, 7 not_after, 8 saved_at, 9 credential (NULL:
-- the pool's), 10 state.
INSERT INTO keypackage_pool_packages (key, pool, ref, tag, suite, not_before, not_after, saved_at, credential, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)

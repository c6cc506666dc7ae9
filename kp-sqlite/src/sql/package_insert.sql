-- Inserts a record: free, or a last resort in its slot.
-- Parameters: 1 key, 2 the pool's key, 3 ref, 4 suite, 5 not_before, 6 not_after, 7 saved_at, 8 credential (NULL: the
-- pool's), 9 state, 10 bytes, 11 support (NULL: none), 12 fingerprint (NULL: none).
INSERT INTO keypackage_pool_packages (
    key, pool, ref, suite, not_before, not_after, saved_at, credential, state, bytes, support, fingerprint
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)

UPDATE packages SET state = 1, id = ?2, at = min(?3 + ?4, not_after)
WHERE key = (
    SELECT key FROM packages
    WHERE pool = (SELECT key FROM pools WHERE pool = ?1) AND state = 0 AND not_before <= ?3 AND ?3 < not_after
    ORDER BY key
    LIMIT 1
)
RETURNING ref, suite, not_before, not_after, credential, bytes

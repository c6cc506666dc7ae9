SELECT key, ref, suite, not_before, not_after, credential, bytes FROM packages INDEXED BY queue
WHERE pool = ?1 AND key >= ?2 AND spent_at IS NULL AND not_before <= ?3 AND ?3 < not_after
ORDER BY key
LIMIT 1

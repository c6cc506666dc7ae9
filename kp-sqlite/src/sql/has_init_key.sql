-- SAVE-9: finds an unexpired record with a fingerprint.
-- Parameters: 1 the pool's key, 2 the fingerprint, 3 now. Result: a row, if there is one.
SELECT key
FROM keypackage_pool_packages INDEXED BY keypackage_pool_init_keys
WHERE pool = ?1 AND substr(fingerprint, 1, 3) = substr(?2, 1, 3) AND fingerprint = ?2 AND not_after > ?3
LIMIT 1

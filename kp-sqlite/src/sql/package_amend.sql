-- SAVE-5: adds to a record the support and the fingerprint that it lacks. Writes nothing if it lacks neither.
-- Parameters: 1 its key, 2 support or NULL, 3 fingerprint or NULL.
UPDATE keypackage_pool_packages
SET support = ifnull(support, ?2), fingerprint = ifnull(fingerprint, ?3)
WHERE key = ?1 AND ((support IS NULL AND ?2 IS NOT NULL) OR (fingerprint IS NULL AND ?3 IS NOT NULL))

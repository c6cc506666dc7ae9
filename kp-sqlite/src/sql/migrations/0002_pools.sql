-- Adds what a KeyPackage supports (RES-3) and the fingerprint of its init key (SAVE-9). What is stored has none of both.
--
-- The columns come behind the bytes, since moving those would write the whole file anew. So no statement reads the new
-- columns unless it needs them.

-- Three bytes for each type, sorted (RES-3). NULL: none, or gone with the bytes.
ALTER TABLE keypackage_pool_packages ADD COLUMN support BLOB CHECK (length(support) BETWEEN 1 AND 2304);

-- NULL: none. Stays as long as the row.
ALTER TABLE keypackage_pool_packages ADD COLUMN fingerprint BLOB CHECK (length(fingerprint) = 8);

-- SAVE-9: the few candidates for a fingerprint, which is a hash, as in keypackage_pool_refs. Two rows may have the same.
CREATE INDEX keypackage_pool_init_keys ON keypackage_pool_packages (pool, substr(fingerprint, 1, 3))
WHERE fingerprint IS NOT NULL;

-- Deletes the KeyPackages of no pool. A pool that is made later could have the key of the lost one.
DELETE FROM keypackage_pool_packages
WHERE NOT EXISTS (SELECT 1 FROM keypackage_pools WHERE key = keypackage_pool_packages.pool)

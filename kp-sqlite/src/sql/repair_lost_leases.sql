-- RES-1: deletes the leases of no KeyPackage.
DELETE FROM keypackage_pool_leases
WHERE NOT EXISTS (SELECT 1 FROM keypackage_pool_packages AS p WHERE p.key = keypackage_pool_leases.key)

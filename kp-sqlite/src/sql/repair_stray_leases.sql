-- RES-1: gives the leases of no pool to the pool of their KeyPackage.
UPDATE OR IGNORE keypackage_pool_leases
SET pool = (SELECT p.pool FROM keypackage_pool_packages AS p WHERE p.key = keypackage_pool_leases.key)
WHERE NOT EXISTS (SELECT 1 FROM keypackage_pools WHERE key = keypackage_pool_leases.pool)
    AND EXISTS (SELECT 1 FROM keypackage_pool_packages AS p WHERE p.key = keypackage_pool_leases.key)

-- RES-1: deletes the leases of a pool that have no KeyPackage, or one that is spent otherwise or a last resort. Nothing becomes free.
-- Parameters: 1 the pool's key.
DELETE FROM keypackage_pool_leases
WHERE pool = ?1 AND coalesce(
    (
        SELECT p.pool = keypackage_pool_leases.pool AND p.state <> 0
            AND NOT (p.state = 9 AND keypackage_pool_leases.state = 7)
        FROM keypackage_pool_packages AS p
        WHERE p.key = keypackage_pool_leases.key
    ),
    1
)

-- META-5: writes a lease.
-- Parameters: 1 name, 2 holder, 3 fence, 4 since, 5 until.
INSERT INTO keypackage_pool_metadata_leases (name, holder, fence, since, until)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, fence = excluded.fence, since = excluded.since, until = excluded.until

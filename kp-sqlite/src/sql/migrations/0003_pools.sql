-- RES-5: shortens the index of the ids that used KeyPackages, as keypackage_pool_refs is: three bytes of an id tell as much as
-- all, and the row itself decides. Nearly every use changes a page of this index, and half as many pages are changed in half
-- as many places.

DROP INDEX keypackage_pool_spent_ids;

CREATE INDEX keypackage_pool_spent_ids ON keypackage_pool_packages (pool, substr(id, 1, 3)) WHERE id IS NOT NULL;

DELETE FROM leases WHERE key = ?1 AND id = ?2 AND ?3 < ends_at

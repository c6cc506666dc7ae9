INSERT INTO leases (key, id, ends_at) VALUES (?1, ?2, min(?3 + ?4, ?5))

UPDATE packages SET id = ?2, spent_at = ?3, bytes = NULL WHERE key = ?1

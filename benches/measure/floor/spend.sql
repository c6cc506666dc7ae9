UPDATE packages SET state = 2, at = ?4, bytes = NULL
WHERE pool = (SELECT key FROM pools WHERE pool = ?1) AND ref = ?2 AND id = ?3 AND state = 1 AND ?4 < at

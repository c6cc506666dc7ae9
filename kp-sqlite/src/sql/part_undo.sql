-- Undoes a part of a transaction (TX-3).
ROLLBACK TO keypackage_pool_part

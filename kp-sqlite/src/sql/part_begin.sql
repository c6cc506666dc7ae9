-- Begins a part of a transaction, which can be undone alone (TX-3).
SAVEPOINT keypackage_pool_part

-- Ends a part of a transaction.
RELEASE keypackage_pool_part

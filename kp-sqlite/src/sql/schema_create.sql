-- The migrations applied to this file: of these tables only, whatever else it holds.
CREATE TABLE IF NOT EXISTS keypackage_pool_schema (version INTEGER PRIMARY KEY) STRICT

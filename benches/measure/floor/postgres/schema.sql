-- What benches/measure/floor/schema.sql remembers, in PostgreSQL.

CREATE TABLE floor_pools (
    key bigint PRIMARY KEY,
    pool bytea NOT NULL UNIQUE
);

CREATE TABLE floor_packages (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool bigint NOT NULL,
    ref bytea NOT NULL,
    suite bigint NOT NULL,
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    credential bytea NOT NULL,
    -- 0 free, 1 reserved, 2 spent
    state smallint NOT NULL,
    id bytea,
    -- When the reservation ends or, once spent, when that was.
    at bigint,
    bytes bytea
);

-- Keys do not compress.
ALTER TABLE floor_packages ALTER bytes SET STORAGE EXTERNAL;

-- The oldest free package of a pool.
CREATE INDEX ON floor_packages (pool, key) WHERE state = 0;

-- A package by its ref, spent or not: nothing is stored twice.
CREATE UNIQUE INDEX ON floor_packages (pool, ref);

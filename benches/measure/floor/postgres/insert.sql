-- Parameters: 1 pool, 2 refs, 3 bytes, 4 not_before, 5 not_after, 6 credential.
INSERT INTO floor_packages (pool, ref, suite, not_before, not_after, credential, state, bytes)
SELECT $1, w.ref, 1, $4, $5, $6, 0, w.bytes
FROM unnest($2::bytea[], $3::bytea[]) AS w (ref, bytes)

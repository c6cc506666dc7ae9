-- Ends a step: from here on, its answers may leave (ERR-5).
COMMIT

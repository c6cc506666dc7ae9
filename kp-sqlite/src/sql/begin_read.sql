-- Begins a read: one snapshot for all its statements (READ-1, READ-3).
BEGIN DEFERRED

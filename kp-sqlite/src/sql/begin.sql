-- Begins a transaction as the only writer of the file (LIN-1).
BEGIN IMMEDIATE

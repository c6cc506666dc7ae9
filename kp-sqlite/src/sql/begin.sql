-- Begins a step, or several that share a commit, as the only writer of the file (LIN-1).
BEGIN IMMEDIATE

-- Lets a script go on while the memory is full: it makes no record, and what it adds to one is little and makes room later.
-- Follows changes.lua, before the first write.
--
-- Redis refuses a command that may take memory only while its script has written nothing. So the script begins with a write
-- that changes nothing. If that fails, so will the script's own first write.
local begin_changing = begin
local function begin(keys, arguments)
    begin_changing(keys, arguments)
    write_nothing()
end

-- get_key_package, get_statuses: looks packages up by ref.
-- Rules: READ-1, READ-4, TIME-2
--
-- KEYS    as in pool.lua
-- ARGV    3 whole or status: whole asks for facts and package too
--         4 the refs
-- Reply   for each ref: nil without a record; else ok, status; under whole also facts, then package or nil

local function get(ref)
    local r = load(ref)
    if not r then
        return false
    end
    r = as_read(r)
    if ARGV[3] == 'status' then
        return {'ok', {status(r)}}
    end
    -- READ-4: only an unspent package shows its bytes.
    return {'ok', {status(r)}, facts(r), (is_queued(r) or r.state == 'R') and package_of(r)}
end

return function(keys, arguments)
    begin(keys, arguments)
    local replies = {}
    for at = 4, #ARGV do
        replies[#replies + 1] = answer(get, ARGV[at])
    end
    return replies
end

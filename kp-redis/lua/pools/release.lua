-- release_key_packages: ends leases of one pool without spending the packages.
-- Rules: TIME-2, REL-1 to REL-3
--
-- KEYS    as in pool.lua
-- ARGV    3 for each token: ref, id
-- Reply   for each token: ok

-- Releases one lease, or returns the first rejection that applies (REL-2).
local function release(ref, id)
    local r, code = live_lease(ref, id)
    if not r then
        return no(code)
    end
    -- REL-1: the package returns to its place, also under OnLapse::Retire. A recalled package is spent.
    if r.recalled == WITHDRAWN then
        put(r, become(r, {state = 'W', at = NOW}))
    elseif r.recalled == RETIRED then
        put(r, become(r, {state = 'T', at = NOW}))
    else
        put(r, become(r, {state = 'F'}))
    end
    return {'ok'}
end

return function(keys, arguments)
    begin(keys, arguments)
    check_keys()
    settle()
    return finish(each_token(3, release))
end

-- Judges the tokens of spend, release and renew. Follows changes.lua.

-- Answers the tokens, each a ref and an id, that begin at the argument `first`.
local function each_token(first, judge)
    local replies = {}
    if #ARGV > first + 1 then
        check_keys() -- What the first item does not read may be what a later one writes.
    end
    for at = first, #ARGV, 2 do
        replies[#replies + 1] = answer(judge, ARGV[at], ARGV[at + 1])
    end
    return replies
end

-- Returns the record of the live lease of this id; or nil, and the first rejection that applies (REL-2, REN-2).
local function live_lease(ref, id)
    local r = load(ref)
    if not r then
        return nil, 'not_found'
    elseif is_expired(r) then
        return nil, 'expired'
    elseif r.state == 'U' then
        return nil, 'already_spent'
    elseif r.state ~= 'R' or r.id ~= id then
        return nil, 'no_live_reservation'
    end
    return r
end

-- Describes a package to reads. Follows pool.lua in the scripts that only read.

-- Returns the record as it would be if its pool had been settled (TIME-2). Writes nothing (READ-1).
local function as_read(r)
    if (lapses_at(r) or math.huge) <= NOW then
        return settled(r)
    end
    return r
end

local CAUSES = {U = 'used', T = 'retired', W = 'withdrawn', P = 'replaced'}

-- Returns the first status that applies, and the values that belong to the status (READ-3).
local function status(r)
    if is_expired(r) then
        return 'expired'
    elseif CAUSES[r.state] then
        return 'spent', r.at, CAUSES[r.state]
    elseif r.state == 'S' then
        return 'last_resort', r.used and 1 or 0
    elseif r.state == 'R' then
        return 'reserved', r.expires_at
    elseif NOW < r.not_before then
        return 'not_yet_valid'
    end
    return 'available'
end

-- Returns the facts about a package, as a reply has them.
local function facts(r)
    return {r.ref, r.suite, r.not_before, r.not_after, r.last and 1 or 0, credential_of(r)}
end

-- export_pool: reads all records of a pool, with all that is kept beside them.
-- Rules: READ-1, MOVE-1
--
-- KEYS    as in pool.lua
-- Reply   for each record: ok, then its facts, state (a letter, as pool.lua lists them), saved_at, the time of the use or end,
--         expires_at, id, by, group, reserver, mark (1: to retire at its lapse, used, or bound), recalled or window, package,
--         support, fingerprint, sequence; a time or number that the state does not have is 0, a text is empty

return function(keys, arguments)
    begin(keys, arguments)
    local places = {}
    local queue = redis.call('ZRANGE', QUEUE, 0, -1, 'WITHSCORES')
    for at = 1, #queue, 2 do
        places[queue[at]] = math.abs(tonumber(queue[at + 1]))
    end

    local replies = {}
    each_record(function(r)
        local place = r and (r.sequence or places[r.ref])
        if not r or is_queued(r) and not place then
            replies[#replies + 1] = {'unreadable'}
            return
        end
        local reply = {'ok', unpack(facts(r))}
        for _, value in ipairs({
            r.state, saved_at(r), r.at or 0, r.expires_at or 0, r.id or '', r.by or '', r.group or '', r.reserver or '',
            (r.retire or r.used or r.bound) and 1 or 0, r.recalled or r.window or 0, r.package_at and package_of(r) or '', support_of(r),
            init_key_of(r), place or 0,
        }) do
            reply[#reply + 1] = value
        end
        replies[#replies + 1] = reply
    end)
    return replies
end

-- ---- Sessions ----------------------------------------------------------------------------------------------------------
-- args[4] 'again': only the worker's facts are refreshed; a session that was reaped stays dead.
local function open(keys, args)
    if args[4] == 'again' and redis.call('HEXISTS', keys[1], 's:' .. args[1]) == 0 then
        return { 1 }
    end
    local c = begin(keys[1], redis.call('HGET', keys[1], '#'))
    know_time(c)
    local deadline = c.now + tonumber(args[2])
    redis.call('ZADD', c.pre .. 'sess', 'GT', deadline, args[1])
    c.f['s:' .. args[1]] = args[3]
    if c.next == 0 or deadline < c.next then
        c.next = deadline
        c.next0 = deadline
        c.f['#'] = struct.pack(COUNTERS, c.ring, c.next, c.floor)
    end
    commit(c)
    return { 0 }
end

-- What an idle worker hears of its shard: nobody has to ask for work that is not there.
local function beat(keys, args)
    local known = redis.call('HMGET', keys[1], 's:' .. args[1], '#')
    if not known[1] then
        return { 1, 0, 0, 0, 0 }
    end
    local ring, next = 0, 0
    if known[2] then
        ring, next = struct.unpack(COUNTERS, known[2])
    end
    local pre = sub(keys[1], 1, -2)
    redis.call('ZADD', pre .. 'sess', 'XX', 'GT', floor(clock_us() / 1000) + tonumber(args[2]), args[1])
    return { 0, redis.call('SCARD', pre .. 'own:' .. args[1]), redis.call('SCARD', pre .. 'mail:' .. args[1]), ring, next }
end

-- Gives how many imports the session still holds.
local function close(keys, args)
    local c = begin(keys[1], redis.call('HGET', keys[1], '#'))
    local own = c.pre .. 'own:' .. args[1]
    local imps = redis.call('SRANDMEMBER', own, TIMERS_MAX)
    take_all(c, imps)
    for _, imp in ipairs(imps) do
        if c.recs[imp] then
            lose_hold(c, c.recs[imp], unhex8(args[1]), false)
        end
    end
    local left = redis.call('SCARD', own) - #imps
    c.f['s:' .. args[1]] = false
    if left <= 0 then
        c.ended[1] = args[1]
    end
    commit(c)
    return { left }
end

local function tick(keys)
    local c = begin(keys[1], redis.call('HGET', keys[1], '#'))
    run_timers(c, '')
    commit(c)
    return { c.next, c.now }
end


-- ---- Everybody's calls ---------------------------------------------------------------------------------------------------
-- args: import, account key, dag hash hex, dag, record, document, credential or ''. Gives the id of the open import.
local function submit(keys, args)
    local imp, account, h, r = args[1], args[2], keys[1], record_read(args[5])
    local group = group_name(r and r.group or 0)
    local got = redis.call('HMGET', h, '#', imp, 'acct:' .. account, 'd:' .. args[3], group)
    if got[2] then
        return { 4, imp }
    elseif got[3] then
        return { 4, got[3] }
    elseif got[4] and got[4] ~= args[4] then
        return redis.error_reply('CORRUPT another playbook shape has the same hash')
    end
    local c, shape = begin(h, got[1]), dag_read(args[4])
    if not r or not shape or shape.count ~= r.count or hex8(r.dag) ~= args[3] then
        return redis.error_reply('CORRUPT the record does not fit its playbook')
    end
    know_time(c)
    group_keep(c, group, got[5])
    r.imp, r.shape, r.is_new, r.place, r.gplace, r.charge = imp, shape, true, '', '', 0
    r.created, r.since, r.session0, r.version = c.now, c.now, r.session, 1
    settle(c, r)
    c.recs[imp], c.order[1] = r, r
    c.f['d:' .. args[3]], c.f[imp .. ':a'], c.f[imp .. ':d'] = args[4], account, args[6]
    if r.place ~= 'terminal' then
        c.f['acct:' .. account] = imp
        c.f[imp .. ':c'] = args[7] ~= '' and args[7] or nil
    end
    redis.call('ZADD', c.pre .. 'all', c.now, imp)
    commit(c)
    return { 0, '' }
end

-- args: import, step or -1, ledger line or '', end of the decision chain as the caller saw it, then the call's own.
-- Replies {0}, {1} not found, {2, state} conflict, {3, end of the chain}: build the line again, {4, import}: the account
-- has another open import.
local function decide(keys, args, rule)
    local imp, step = args[1], tonumber(args[2])
    local got = redis.call('HMGET', keys[1], '#', imp, imp .. '~')
    if not got[2] then
        return { 1 }
    end
    local c = begin(keys[1], got[1])
    local r = take(c, imp, got[2])
    if not r or not step then
        return redis.error_reply('CORRUPT the record of ' .. imp .. ' cannot be read')
    end
    if args[3] ~= '' and (got[3] or '') ~= args[4] then
        return { 3, got[3] or '' }
    end
    local answer = rule(c, r, step)
    if answer == 'conflict' then
        local s = step >= 0 and r.s[step]
        return { 2, 'the import is ' .. IMPORT_STATES[r.state] .. (s and ' and the step ' .. STEP_STATES[s] or '') }
    end
    if answer == 'exists' then
        return { 4, c.other }
    elseif answer == 'busy' then
        return { 5 }
    end
    if answer == 'ok' then
        if args[3] ~= '' then
            local n = string.match(args[3], '"n":(%d+)') or '0'
            c.f[imp .. '>' .. n] = args[3]
            c.f[imp .. '~'] = n .. ':' .. (string.match(args[3], '"hash":"(%x+)"') or '')
        end
        commit(c)
    end
    return { 0 }
end

-- A signal to the whole import goes to every step that it can mean: what is held (accept), what rests (recheck).
local function signal_targets(r, step, key)
    local targets = {}
    if step >= 0 then
        return { step }
    end
    for i = 0, r.count - 1 do
        if is_live(r.s[i]) then
            local is_held = has(step_at(r, i).flags, S_HELD)
            if (key == 'accept' and is_held) or (key == 'recheck' and (r.s[i] == WAITING or r.s[i] == DELAYED)) then
                targets[#targets + 1] = i
            end
        end
    end
    return targets
end

-- A word stands here that the step has read, and it is at work upon it: another word would have to take its place before
-- anybody knows what came of it. Not taken, and not said to be: who asks, asks again.
local function is_at_work(r, i, stored, body)
    return stored and stored ~= body and is_live(r.s[i]) and not has(step_at(r, i).flags, S_SIGNALLED)
end

-- own args: key, body.
local function signal(keys, args)
    local key, body = args[5], args[6]
    return decide(keys, args, function(c, r, step)
        local targets, answer = signal_targets(r, step, key), key == 'recheck' and 'nothing' or 'conflict'
        for _, i in ipairs(targets) do
            local field = r.imp .. '/' .. i .. '!' .. key
            local stored = redis.call('HGET', c.h, field)
            local one = signal_step(c, r, i, key == 'recheck', stored and true)
            if one == 'ok' then
                c.f[field] = body
            elseif one == 'nothing' and is_at_work(r, i, stored, body) then
                one = 'busy'
            end
            answer = answer == 'ok' and 'ok' or one
        end
        return answer
    end)
end

-- own args: hash of the undo's shape in hex, the shape, '0' or '1' per step that runs in every undo. A finished import
-- takes its account's place again.
local function undo_import(keys, args)
    local shape = dag_read(args[6])
    if not shape or not args[7] or #args[7] ~= shape.count or #args[5] ~= 16 then
        return redis.error_reply('USAGE undo')
    end
    local stored = redis.call('HGET', keys[1], 'd:' .. args[5])
    if stored and stored ~= args[6] then
        return redis.error_reply('CORRUPT another playbook shape has the same hash')
    end
    return decide(keys, args, function(c, r)
        local was_terminal = r.place == 'terminal'
        local account = was_terminal and redis.call('HGET', c.h, r.imp .. ':a')
        local other = account and redis.call('HGET', c.h, 'acct:' .. account)
        local is_undone = has(r.flags, IS_UNDOING) and not has(r.flags, IS_CANCELLED)
        if other and other ~= r.imp and not is_undone then
            c.other = other
            return 'exists'
        end
        local answer = undo(c, r, shape, unhex8(args[5]), args[7])
        if answer == 'ok' then
            c.f['d:' .. args[5]] = args[6]
            if account and r.place ~= 'terminal' then
                c.f['acct:' .. account] = r.imp
            end
        end
        return answer
    end)
end

local function put_credential(keys, args)
    local bytes = redis.call('HGET', keys[1], args[1])
    local r = bytes and record_read(bytes)
    if not r then
        return { 1 }
    elseif r.remaining == 0 then
        return { 2, 'the import is ' .. IMPORT_STATES[r.state] }
    end
    redis.call('HSET', keys[1], args[1] .. ':c', args[2])
    return { 0 }
end

-- KEYS[1]: the bucket. args: rate per second x 100, burst, want, and for how many ms from now AWS wants to be left alone
-- (0: nothing said). Gives granted, wait in ms. Counts in 1/100,000 tokens. A pause is everybody's: nothing is granted
-- before its end, and then one by one, not as a burst.
local function tokens(keys, args)
    local rate, burst, want = tonumber(args[1]), tonumber(args[2]) * 100000, tonumber(args[3])
    local got, now = redis.call('HMGET', keys[1], 't', 'at', 'until'), floor(clock_us() / 1000)
    local have = min(burst, tonumber(got[1] or burst) + max(0, now - tonumber(got[2] or now)) * rate)
    local at, paused, pause = now, tonumber(got[3] or 0), tonumber(args[4])
    if pause > 0 then
        paused = max(paused, now + pause)
    end
    if paused > now then
        at, have = paused, 0
    end
    local granted = min(want, floor(have / 100000))
    have = have - granted * 100000
    redis.call('HSET', keys[1], 't', string.format('%.0f', have), 'at', at, 'until', paused)
    redis.call('PEXPIRE', keys[1], 60000 + floor(burst / max(rate, 1)) + at - now)
    return { granted, granted < want and at - now + math.ceil((100000 - have) / max(rate, 1)) or 0 }
end

-- KEYS[1]: f:{g}:fleet. args: halt or release, id of the finding, line for the log, end of the log as the caller saw it.
-- {0} done, {1} nothing to do, {2} not halted, {3, end} the log has grown: build the line again.
local function fleet(keys, args)
    local got = redis.call('HMGET', keys[1], 'halt', 'head', 'id:' .. args[2])
    local halts, head = args[1] == 'halt', got[2] or '0:'
    if halts and args[2] ~= '' and got[3] then
        return { 1 }
    elseif not halts and not got[1] then
        return { 2 }
    elseif head ~= args[4] then
        return { 3, head }
    end
    local n, hash = tonumber(string.match(args[3], '"n":(%d+)')), string.match(args[3], '"hash":"(%x+)"')
    redis.call('RPUSH', keys[1] .. ':log', args[3])
    redis.call('HSET', keys[1], 'head', string.format('%d:%s', n, hash))
    if not halts then
        redis.call('HDEL', keys[1], 'halt')
    elseif not got[1] then
        redis.call('HSET', keys[1], 'halt', args[3])
    end
    if halts and args[2] ~= '' then
        redis.call('HSET', keys[1], 'id:' .. args[2], n)
    end
    return { 0 }
end

-- args: schema, mode, shard count. Writes what is missing; gives what is there: schema, min_client, mode, shards.
local function setup(keys, args)
    local meta = sub(keys[1], 1, -2) .. 'meta'
    redis.call('HSETNX', meta, 'schema', args[1])
    redis.call('HSETNX', meta, 'min_client', args[1])
    redis.call('HSETNX', meta, 'mode', args[2])
    redis.call('HSETNX', meta, 'shards', args[3])
    return redis.call('HMGET', meta, 'schema', 'min_client', 'mode', 'shards')
end

-- allow-oom: what finishes or frees must work when memory is full; submit and setup are refused first (I12).
local OOM = { 'allow-oom' }
local function register(name, callback, flags)
    local function run(keys, args)
        if not byte then
            byte, sub, floor, max, min = string.byte, string.sub, math.floor, math.max, math.min
        end
        return callback(keys, args)
    end
    redis.register_function { function_name = name .. '_1', callback = run, flags = flags or {} }
end
register('setup', setup)
register('submit', submit)
register('credential', put_credential)
register('turn', turn, OOM)
register('open', open, OOM)
register('beat', beat, OOM)
register('close', close, OOM)
register('tick', tick, OOM)
register('tokens', tokens, OOM)
register('fleet', fleet, OOM)
register('signal', signal, OOM)
register('cancel', function(keys, args) return decide(keys, args, cancel) end, OOM)
register('pause', function(keys, args) return decide(keys, args, function(c, r) return set_paused(c, r, true) end) end, OOM)
register('resume', function(keys, args) return decide(keys, args, function(c, r) return set_paused(c, r, false) end) end, OOM)
-- A decision that moves nothing: it only joins the chain.
register('note', function(keys, args) return decide(keys, args, function() return 'ok' end) end, OOM)
register('redrive', function(keys, args) return decide(keys, args, redrive) end, OOM)
register('undo', undo_import, OOM)
register('retire', retire, OOM)

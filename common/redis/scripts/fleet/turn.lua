-- ---- Timers ------------------------------------------------------------------------------------------------------------
local function reap(c, me)
    local left = TIMERS_MAX
    for _, session in ipairs(redis.call('ZRANGEBYSCORE', c.pre .. 'sess', '-inf', c.now, 'LIMIT', 0, 8)) do
        if session == me and not c.is_gone then
            -- It is calling, so it lives: its beat is only late.
            c.late = true
        elseif left > 0 then
            local imps = redis.call('SRANDMEMBER', c.pre .. 'own:' .. session, left)
            take_all(c, imps)
            for _, imp in ipairs(imps) do
                if c.recs[imp] then
                    lose_hold(c, c.recs[imp], unhex8(session), true)
                end
            end
            -- From now on it is gone, even where imports are left for the next call.
            c.f['s:' .. session] = false
            if #imps < left then
                c.ended[#c.ended + 1] = session
            end
            left = left - #imps
        end
    end
end

local function run_timers(c, me)
    know_time(c)
    if c.next == 0 or c.next > c.now then
        return
    end
    reap(c, me)
    local due = redis.call('ZRANGEBYSCORE', c.pre .. 'due', '-inf', c.now, 'LIMIT', 0, TIMERS_MAX)
    take_all(c, due)
    for _, imp in ipairs(due) do
        if c.recs[imp] then
            promote(c, c.recs[imp])
        end
    end
end

-- ---- turn --------------------------------------------------------------------------------------------------------------
local ITEM, SWAP = '<BBI8I4I4I8BBI4I4Bc0', '<c20BI8I2'
local TEXTS = { 'journal', 'result', 'task', 'error', 'ledger', 'swap' }
local ARGS_HEAD = 6

local function items_read(args)
    local items, at, next_arg, head = {}, 1, ARGS_HEAD + 1, args[ARGS_HEAD]
    while at <= #head do
        local it, outcome, mask = {}, nil, nil
        outcome, it.step, it.fence, it.nonce, it.claim_version, it.delay, it.party, mask, it.first, it.last, it.imp, at =
            struct.unpack(ITEM, head, at)
        it.outcome = string.char(outcome)
        if not OUTCOMES[it.outcome] or it.party > P_ORGIMPORT then
            return nil
        end
        for k = 1, 6 do
            if mask % 2 == 1 then
                it[TEXTS[k]] = args[next_arg]
                next_arg = next_arg + 1
            end
            mask = floor(mask / 2)
        end
        if it.ledger and (it.first < 1 or it.last < it.first) then
            return nil
        end
        items[#items + 1] = it
    end
    return #items <= ITEMS_MAX and next_arg == #args + 1 and items or nil
end

-- What an undo leaves stands beside what the forward run left: a step that came to its end after the undo was decided
-- (is_stopping) still tells of the forward run, and its error is nobody's any more.
local function keep_texts(c, it, is_undoing, is_stopping)
    local field = it.imp .. '/' .. it.step
    if it.journal then
        c.f[field] = it.journal
    end
    if it.result then
        c.f[field .. (is_undoing and not is_stopping and '^' or '=')] = it.result
    end
    if it.error and not is_stopping then
        c.f[field .. '#'] = it.error ~= '' and it.error
    end
    if it.ledger then
        c.f[field .. '>' .. it.first] = it.ledger
    end
end

local function keep_task(c, r, it)
    if it.task and it.task ~= '' and has(step_at(r, it.step).flags, S_TASK) then
        local field = it.imp .. '/' .. it.step
        c.f[field .. '?'] = it.task
        c.tasks[field] = c.now
    end
end

-- ---- The holder's own word ---------------------------------------------------------------------------------------------
-- The holder may send the record that it expects to come out. It is taken when the stored one is the very record that the
-- holder started from (its name: fence, nonce, version, stamp), and when it stays within what a holder may change: steps,
-- counts and virtual time, of an import that it holds before and after. In all other cases the rules decide, as if
-- nothing had been sent.
local function is_within_bounds(raw, new, session)
    return #new == #raw and sub(new, 1, 12) == sub(raw, 1, 12) and
        struct.unpack('<I4', new, 13) == struct.unpack('<I4', raw, 13) + 1 and
        sub(new, 21, 28) == session and sub(raw, 21, 30) == sub(new, 21, 30) and -- session, state, step count
        byte(new, 31) > 0 and byte(new, 32) <= WRITERS_MAX and byte(new, 33) <= READERS_MAX and
        byte(new, 34) == byte(raw, 34) and -- flags
        sub(new, 36, 46) == sub(raw, 36, 46) and -- weight, party, layout, dag
        sub(new, 55, HEAD_BYTES) == sub(raw, 55, HEAD_BYTES) -- created, since, group
end

-- What the rules make of the stored record, at the moment and with the neighbours that the holder assumed.
local function by_the_rules(c, it, session, raw, others, now_us, stamp)
    local s = { h = c.h, now_us = now_us, now = floor(now_us / 1000), stamp = stamp, ring = others, floor = 0, f = {},
        tasks = {}, mails = {} }
    local r = record_open(s, it.imp, raw)
    return r and finish(s, r, session, it) == 'ok' and record_write(r)
end

local function swap(c, session, it)
    local raw = c.raw[it.imp]
    if not raw or c.recs[it.imp] ~= nil then
        return false
    end
    local base, others, now_us, len, at = struct.unpack(SWAP, it.swap)
    local new = sub(it.swap, at, at + len - 1)
    if sub(raw, 1, NAME_BYTES) ~= base or not is_within_bounds(raw, new, session) then
        return false
    end
    c.swaps = c.swaps + 1
    if c.verify > 0 and (c.chance + c.swaps) % c.verify == 0 then
        local want = by_the_rules(c, it, session, raw, others, now_us, (struct.unpack('<I4', new, 17)))
        if want ~= new then
            c.wrong = { it = it, raw = raw, new = new }
            return false
        end
    end
    c.raw[it.imp], c.f[it.imp] = new, new
    keep_texts(c, it, has(byte(raw, 34), IS_UNDOING), false)
    if at + len <= #it.swap then
        c.events[#c.events + 1] = sub(it.swap, at + len)
    end
    return true
end

-- A holder that computes otherwise than we do has a fault, or we have: this import stops until somebody has looked.
local function stop_wrong(c, r)
    if c.wrong and c.wrong.it.imp == r.imp then
        set_paused(c, r, true)
        c.f[r.imp .. '!swap'] = c.wrong.it.outcome .. c.wrong.it.step .. ' ' .. c.wrong.raw .. c.wrong.new
        c.wrong = nil
    end
end

local ACKS = { ok = 0, already = 1, stale = 2 }

local function run_item(c, session, it)
    if c.is_gone then
        return 2
    end
    if it.swap and swap(c, session, it) then
        it.is_swapped = true
        return 0
    end
    local r = record_of(c, it.imp)
    if not r then
        return 2
    end
    if it.outcome == 'N' then
        c.nudged[#c.nudged + 1] = it.imp
        return ACKS[nudge(c, r, session)]
    end
    local is_stopping = has(r.flags, IS_STOPPING)
    local answer = finish(c, r, session, it)
    if answer == 'ok' then
        keep_texts(c, it, has(r.flags, IS_UNDOING), is_stopping)
        keep_task(c, r, it)
        stop_wrong(c, r)
    end
    return ACKS[answer]
end

-- A place in a group's queue whose import cannot be read is given up; the audit names the import.
local function run_claims(c, session, nonce, want)
    local claimed, imps = {}, {}
    if want <= 0 or c.ring <= 0 then
        return claimed
    end
    local picks = ring_picks(c, min(want, CLAIMS_MAX))
    for _, pick in ipairs(picks) do
        imps[#imps + 1] = pick.imp or nil
    end
    take_all(c, imps)
    for k, pick in ipairs(picks) do
        local r = pick.imp and c.recs[pick.imp]
        local number = (nonce + k - 1) % 4294967295 + 1
        if r then
            r.gplace = 'own'
            if claim(c, r, session, number, pick.vt) == 'ok' then
                claimed[#claimed + 1] = r
            end
        elseif pick.g then
            c.ring = c.ring - 1
        end
    end
    return claimed
end

local function turn_begin(h, me, items)
    local fields, seen = { '#', 's:' .. me }, {}
    for _, it in ipairs(items) do
        if not seen[it.imp] then
            seen[it.imp] = true
            fields[#fields + 1] = it.imp
        end
    end
    local got = redis.call('HMGET', h, unpack(fields))
    local c = begin(h, got[1])
    c.nudged, c.is_gone, c.swaps = {}, not got[2], 0
    for k = 3, #fields do
        c.raw[fields[k]] = got[k]
    end
    return c
end

-- A record that its holder has computed is not told again.
local function turn_reply(c, me, items, acks, claimed, wants_mail)
    local answers, claims = {}, {}
    for k, it in ipairs(items) do
        answers[2 * k - 1] = acks[k]
        answers[2 * k] = not it.is_swapped and (c.f[it.imp] or c.raw[it.imp]) or ''
    end
    for _, r in ipairs(claimed) do
        claims[#claims + 1] = r.imp
        claims[#claims + 1] = c.f[r.imp]
    end
    local mails = wants_mail and not c.is_gone and redis.call('SRANDMEMBER', c.pre .. 'mail:' .. me, TIMERS_MAX) or {}
    return { c.now or 0, c.next, c.ring > 0 and 1 or 0, c.is_gone and 1 or 0, answers, claims, mails }
end

-- args: session hex, random number, want, flags (1 look at the timers, 2 tell what waits in the mail), which of the
-- holder's records to compute again (0 none, 1 each, N one in N), packed items, texts of the items as their masks say.
local function turn(keys, args)
    local me, nonce, want, flags, verify = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
    local items = args[ARGS_HEAD] and items_read(args)
    if not items or not nonce or not want or not flags or not verify or #me ~= 16 then
        return redis.error_reply('USAGE turn')
    end
    local c, session, acks = turn_begin(keys[1], me, items), unhex8(me), {}
    c.verify, c.chance = verify, nonce
    if want > 0 or has(flags, 1) then
        run_timers(c, me)
    end
    for k, it in ipairs(items) do
        acks[k] = run_item(c, session, it)
    end
    local claimed = c.is_gone and {} or run_claims(c, session, nonce, want)
    if c.late then
        redis.call('ZADD', c.pre .. 'sess', 'XX', 'GT', c.now + 5000, me)
    end
    if #c.nudged > 0 then
        redis.call('SREM', c.pre .. 'mail:' .. me, unpack(c.nudged))
    end
    commit(c)
    return turn_reply(c, me, items, acks, claimed, has(flags, 2))
end


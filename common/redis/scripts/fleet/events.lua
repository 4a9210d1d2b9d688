-- ---- Events: each gives 'ok', 'nothing', 'already', 'stale' or 'conflict' and settles the record itself ----------------
-- vt: where the ring stood.
local function claim(c, r, session, nonce, vt)
    if r.place ~= 'ring' then
        return 'nothing'
    end
    c.floor = max(c.floor, vt)
    r.vt = r.group == 0 and r.vt or 0
    r.version = r.version + 1
    r.fence, r.nonce, r.session, r.run = max(c.now_us, r.fence + 1), nonce, session, 0
    r.flags = with(r.flags, HAS_CLAIM)
    promote_due(c, r)
    start_ready(c, r)
    settle(c, r)
    charge_group(r)
    return 'ok'
end

-- W, P and H end a step's crashes: it came to its own rest (see forget_crashes in transition.c).
local OUTCOMES = {
    D = function(c, r, i) done_step(c, r, i) end,
    R = function(c, r, i, item)
        local d = step_at(r, i)
        if item.party ~= P_NONE then
            d.party = item.party
        end
        local attempts_max = r.shape[i].attempts_max
        if attempts_max > 0 and d.attempts >= attempts_max then
            fail_step(c, r, i, FAILED, d.party)
        else
            rest_step(c, r, i, DELAYED, item.delay, false)
        end
    end,
    F = function(c, r, i, item) fail_step(c, r, i, FAILED, item.party) end,
    W = function(c, r, i, item)
        local d = step_at(r, i)
        d.flags, d.party, d.crashes = without(d.flags, S_HELD), item.party, 0
        rest_step(c, r, i, WAITING, item.delay, true)
    end,
    P = function(c, r, i, item)
        local d = step_at(r, i)
        d.flags, d.party, d.crashes = without(d.flags, S_HELD), item.party, 0
        rest_step(c, r, i, DELAYED, item.delay, true)
    end,
    H = function(c, r, i, item)
        local d = step_at(r, i)
        d.flags, d.party, d.crashes = with(d.flags, S_HELD), item.party ~= P_NONE and item.party or P_OPERATOR, 0
        rest_step(c, r, i, WAITING, item.delay, true)
        if item.delay == 0 then
            d.due = 0
        end
    end,
    I = function(c, r, i) rest_step(c, r, i, READY, 0, true) end,
    S = function() end,
    N = function() end,
}

-- A step's ledger lines follow one another. A SAVE whose very lines are stored had arrived; another one's under the same
-- number, as after a failover, tell of another intent. A holder that is ahead of what is stored wrote lines that a
-- failover has lost: it must read again what is here, and say so in the chain.
local function lines_answer(c, d, item)
    if not item.ledger or item.first == d.lines + 1 then
        return 'ok'
    end
    if item.outcome ~= 'S' or item.first > d.lines then
        return 'stale'
    end
    local field = item.imp .. '/' .. item.step .. '>' .. item.first
    return (c.f[field] or redis.call('HGET', c.h, field)) == item.ledger and 'already' or 'stale'
end

-- A step leaves ACTIVE, or is started again, within one hold only by the very finish that comes again. A SAVE comes too
-- late then: its call leaves when it is taken, so it may not be taken for stored.
local function finish_answer(c, r, session, item)
    if item.step >= r.count then
        return 'stale'
    end
    local d = step_at(r, item.step)
    if r.fence ~= item.fence or r.nonce ~= item.nonce or item.claim_version == 0 or
        d.claim_version < item.claim_version then
        return 'stale'
    elseif d.claim_version > item.claim_version or r.s[item.step] ~= ACTIVE then
        return item.outcome == 'S' and 'stale' or 'already'
    end
    return r.session == session and lines_answer(c, d, item) or 'stale'
end

local function finish(c, r, session, item)
    local answer, i = finish_answer(c, r, session, item), item.step
    if answer ~= 'ok' then
        return answer
    end
    local d = step_at(r, i)
    r.version = r.version + 1
    d.lines = item.ledger and item.last or d.lines
    if item.task == '' then
        close_task(c, r, i)
    elseif item.task then
        d.flags = with(d.flags, S_TASK)
    end
    if item.outcome ~= 'S' and has(r.flags, IS_CANCELLED) then
        end_step(c, r, i, CANCELLED, P_NONE)
    elseif item.outcome ~= 'S' and has(r.flags, IS_STOPPING) then
        rewind_step(c, r, i)
    else
        OUTCOMES[item.outcome](c, r, i, item)
    end
    promote_due(c, r)
    if item.outcome ~= 'I' then
        start_ready(c, r)
    end
    settle(c, r)
    return 'ok'
end

local function nudge(c, r, session)
    if r.session ~= session then
        return 'stale'
    end
    r.version = r.version + 1
    promote_due(c, r)
    start_ready(c, r)
    settle(c, r)
    return 'ok'
end

local function lose_hold(c, r, session, is_crash)
    if r.session ~= session then
        return 'nothing'
    end
    r.version = r.version + 1
    for i = 0, r.count - 1 do
        if r.s[i] == ACTIVE then
            local d = step_at(r, i)
            if is_crash then
                d.crashes = min(d.crashes + 1, 255)
            end
            if has(r.flags, IS_CANCELLED) then
                end_step(c, r, i, CANCELLED, P_NONE)
            elseif has(r.flags, IS_STOPPING) then
                rewind_step(c, r, i)
            elseif not is_crash then
                rest_step(c, r, i, READY, 0, true)
            elseif d.crashes >= CRASHES_MAX then
                fail_step(c, r, i, DEAD, P_ORGIMPORT)
            else
                rest_step(c, r, i, DELAYED, (100 + (c.now_us + 7919 * i) % 900) * 4 ^ (d.crashes - 1), false)
            end
        end
    end
    promote_due(c, r)
    break_hold(c, r)
    settle(c, r)
    return 'ok'
end

local function signal_step(c, r, i, is_recheck, is_stored)
    if r.place == 'terminal' and not is_stored or i < 0 or i >= r.count then
        return 'conflict'
    elseif has(r.flags, IS_STOPPING) then
        return 'conflict' -- a word about the forward run must not be taken for one about the undo
    end
    local s, d = r.s[i], step_at(r, i)
    if not is_live(s) and s ~= PENDING then
        return is_stored and 'nothing' or 'conflict'
    end
    local rests = s == WAITING or s == DELAYED
    if is_stored and not is_recheck and (not rests or has(d.flags, S_SIGNALLED)) then
        return 'nothing'
    end
    r.version = r.version + 1
    d.flags = with(with(d.flags, S_SIGNALLED), S_SIGNALS)
    if rests then
        r.s[i], d.due = READY, 0
        if not is_recheck then
            d.flags, d.party = without(d.flags, S_HELD), P_NONE
        end
    end
    mail(c, r)
    settle(c, r)
    return 'ok'
end

local function cancel(c, r)
    if r.place == 'terminal' and r.state ~= I_CANCELLED then
        return 'conflict'
    elseif has(r.flags, IS_CANCELLED) then
        return 'nothing'
    end
    r.version = r.version + 1
    r.flags = r.flags + IS_CANCELLED
    for i = 0, r.count - 1 do
        if not is_over(r.s[i]) and r.s[i] ~= ACTIVE then
            end_step(c, r, i, CANCELLED, P_NONE)
        end
    end
    mail(c, r)
    settle(c, r)
    return 'ok'
end

local function set_paused(c, r, is_paused)
    if r.place == 'terminal' or has(r.flags, IS_CANCELLED) then
        return 'conflict'
    elseif has(r.flags, IS_PAUSED) == is_paused then
        return 'nothing'
    end
    r.version = r.version + 1
    r.flags = is_paused and r.flags + IS_PAUSED or r.flags - IS_PAUSED
    if not is_paused then
        promote_due(c, r)
    end
    mail(c, r)
    settle(c, r)
    return 'ok'
end

local function redrive_step(c, r, i)
    local s, d = r.s[i], step_at(r, i)
    if s == FAILED or s == DEAD then
        d.attempts, d.crashes = 0, 0
        d.flags = has(d.flags, S_RELEASED) and S_RELEASED or 0
        for _, key in ipairs(SIGNAL_KEYS) do
            c.f[r.imp .. '/' .. i .. '!' .. key] = false
        end
        c.f[r.imp .. '/' .. i .. '#'] = false
    elseif s == WAITING or s == DELAYED then
        d.flags = without(d.flags, S_HELD)
    else
        return false
    end
    r.s[i], d.due, d.party = READY, 0, P_NONE
    return true
end

local function redrive(c, r, step)
    if r.place == 'terminal' or has(r.flags, IS_CANCELLED) or step >= r.count then
        return 'conflict'
    end
    local moved = false
    for i = 0, r.count - 1 do
        if step < 0 or step == i then
            moved = redrive_step(c, r, i) or moved
        end
    end
    if not moved then
        return (step < 0 or is_live(r.s[step])) and 'nothing' or 'conflict'
    end
    r.version = r.version + 1
    mail(c, r)
    settle(c, r)
    return 'ok'
end

local function promote(c, r)
    if r.place ~= 'due' then
        return 'nothing'
    end
    r.version = r.version + 1
    promote_due(c, r)
    settle(c, r)
    return 'ok'
end

local function undo_fits(shape, undo_shape)
    for i = 0, shape.count - 1 do
        if undo_shape.count ~= shape.count or undo_shape[i].class ~= shape[i].class then
            return false
        end
    end
    return true
end

local function turn_step(r, i, is_wanted)
    local d = step_at(r, i)
    if r.s[i] == ACTIVE then
        d.flags = has(d.flags, S_TASK) and S_TASK or 0
        return
    end
    d.deps = 0
    undo_rewind_step(r, i)
    r.s[i] = is_wanted and PENDING or SKIPPED
end

-- again: '1' per step that runs in every undo. dag: the hash of undo_shape as it stands in the record.
local function undo_turn(r, undo_shape, dag, again)
    local stopping = active_count(r) > 0
    for i = 0, r.count - 1 do
        turn_step(r, i, step_at(r, i).claim_version > 0 or byte(again, i + 1) == 49)
    end
    for i = 0, r.count - 1 do
        if r.s[i] ~= SKIPPED then
            local d = step_at(r, i)
            d.deps = 0
            for _, need in ipairs(undo_shape[i].needs) do
                d.deps = d.deps + (r.s[need] ~= SKIPPED and 1 or 0)
            end
            if r.s[i] == PENDING and d.deps == 0 then
                r.s[i] = READY
            end
        end
    end
    r.dag, r.shape = dag, undo_shape
    r.flags = with(without(without(without(r.flags, IS_PAUSED), IS_CANCELLED), IS_STOPPING), IS_UNDOING)
    r.flags = stopping and with(r.flags, IS_STOPPING) or r.flags
end

local function undo(c, r, undo_shape, dag, again)
    if has(r.flags, IS_UNDOING) and not has(r.flags, IS_CANCELLED) then
        return 'nothing'
    elseif not undo_fits(r.shape, undo_shape) then
        return 'conflict'
    end
    r.version = r.version + 1
    for i = 0, r.count - 1 do
        if r.s[i] ~= ACTIVE then
            close_task(c, r, i)
        end
        for _, key in ipairs(SIGNAL_KEYS) do
            c.f[r.imp .. '/' .. i .. '!' .. key] = false
        end
        c.f[r.imp .. '/' .. i .. '#'] = false
    end
    undo_turn(r, undo_shape, dag, again)
    mail(c, r)
    settle(c, r)
    return 'ok'
end


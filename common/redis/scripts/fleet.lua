#!lua name=orgimport_1
-- The queue in Redis: every rule a second time, beside common/queue/transition.c (same order, same names), and the calls.
--
-- Reads come first, then the rules work on records in memory, then commit() writes: Redis does not roll back, so nothing
-- may fail after the first write. Time is Redis's. No KEYS, no SCAN, nothing that grows with the backlog.
-- Functions end in _1. Once released, a change of meaning gets a library orgimport_2 beside this one (README.md of
-- common/queue, "Upgrades").
--
-- KEYS[1] is always f:{SHARD}:h; all other keys share its tag.

local PENDING, READY, BLOCKED, ACTIVE, DELAYED, WAITING, DONE, FAILED, DEAD, CANCELLED, SKIPPED =
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local IMPORT_STATES = { [0] = 'accepted', 'running', 'waiting', 'held', 'paused', 'failed', 'completed', 'cancelled',
    'undoing', 'undone' }
local STEP_STATES = { [0] = 'PENDING', 'READY', 'BLOCKED', 'ACTIVE', 'DELAYED', 'WAITING', 'DONE', 'FAILED', 'DEAD',
    'CANCELLED', 'SKIPPED' }
local I_ACCEPTED, I_RUNNING, I_WAITING, I_HELD, I_PAUSED, I_FAILED, I_COMPLETED, I_CANCELLED, I_UNDOING, I_UNDONE =
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9
local P_NONE, P_OPERATOR, P_ORGIMPORT = 0, 2, 4
local CLASS_READER, CLASS_WRITER, ON_FAIL_CONTINUE = 1, 2, 1
local ACTIVE_MAX, WRITERS_MAX, READERS_MAX, QUANTUM, CRASHES_MAX, DELAY_MS_MAX = 5, 1, 4, 8, 3, 315360000000
local ITEMS_MAX, CLAIMS_MAX, TIMERS_MAX, EVENTS_MAX = 32, 32, 64, 100000
local HEAD, STEP, COUNTERS = '<I8I4I4c8BBBBBBBBBBc8I2I8I8I8I4', '<BBBBI4I6BB', '<I4I8I8'
local NOBODY = '\0\0\0\0\0\0\0\0'
local SIGNAL_KEYS = { 'done', 'reject', 'recheck', 'accept' }
-- Redis 7.0 shows the standard libraries to running functions only, not while a library loads: see register().
local byte, sub, floor, max, min

-- CLOCK: the differential test replaces this function.
local function clock_us()
    local t = redis.call('TIME')
    return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- Flag words are single bits; Lua 5.1 has no operators for them.
local function has(word, bit)
    return word % (bit + bit) >= bit
end
local function with(word, bit)
    return has(word, bit) and word or word + bit
end
local function without(word, bit)
    return has(word, bit) and word - bit or word
end
local IS_PAUSED, IS_CANCELLED, HAS_CLAIM, IS_UNDOING, IS_STOPPING = 1, 2, 8, 16, 32
local S_HELD, S_SIGNALLED, S_RELEASED, S_TASK = 1, 2, 4, 8

-- Eight little-endian bytes and their text as a number in hex.
local function hex8(raw)
    return (string.gsub(string.reverse(raw), '.', function(b) return string.format('%02x', byte(b)) end))
end
local function unhex8(text)
    return string.reverse((string.gsub(text, '%x%x', function(b) return string.char(tonumber(b, 16)) end)))
end

-- ---- Records ---------------------------------------------------------------------------------------------------------
local function step_at(r, i)
    local d = r.d[i]
    if not d then
        d = {}
        local _
        _, d.deps, d.attempts, d.crashes, d.claim_version, d.due, d.flags, d.party =
            struct.unpack(STEP, r.bytes, 73 + 16 * i)
        r.d[i] = d
    end
    return d
end

local function record_read(bytes)
    local len = bytes and #bytes or 0
    if len < 88 or len > 1096 or (len - 72) % 16 ~= 0 then
        return nil
    end
    local r, spare = { bytes = bytes, s = {}, d = {} }, 0
    r.fence, r.nonce, r.version, r.session, r.state, r.count, r.remaining, r.writers, r.readers, r.flags, r.run,
        r.weight, r.party, r.layout, r.dag, spare, r.vt, r.created, r.since, r.group = struct.unpack(HEAD, bytes)
    if r.layout ~= 1 or r.weight == 0 or spare ~= 0 or r.count ~= (len - 72) / 16 then
        return nil
    end
    for i = 0, r.count - 1 do
        r.s[i] = byte(bytes, 73 + 16 * i)
    end
    return r
end

local function record_write(r)
    local out = { struct.pack(HEAD, r.fence, r.nonce, r.version, r.session, r.state, r.count, r.remaining, r.writers,
        r.readers, r.flags, r.run, r.weight, r.party, r.layout, r.dag, 0, r.vt, r.created, r.since, r.group) }
    local from = 0
    for i = 0, r.count - 1 do
        local d = r.d[i]
        if d then
            if from < i then
                out[#out + 1] = sub(r.bytes, 73 + 16 * from, 72 + 16 * i)
            end
            out[#out + 1] = struct.pack(STEP, r.s[i], d.deps, d.attempts, d.crashes, d.claim_version, d.due, d.flags,
                d.party)
            from = i + 1
        end
    end
    if from < r.count then
        out[#out + 1] = sub(r.bytes, 73 + 16 * from)
    end
    return table.concat(out)
end

-- Shapes are content-addressed, so keeping them between calls is safe.
local dags, dag_count = {}, 0

local function dag_read(bytes)
    if not bytes or byte(bytes, 1) ~= 1 then
        return nil
    end
    local dag, at = { count = byte(bytes, 2) }, 3
    for i = 0, dag.count - 1 do
        local class, on_fail, attempts_max, needs = byte(bytes, at, at + 3)
        if not needs then
            return nil
        end
        dag[i] = { class = class, on_fail = on_fail, attempts_max = attempts_max, next = {}, needs = { byte(bytes, at + 4, at + 3 + needs) } }
        at = at + 4 + needs
    end
    for i = 0, dag.count - 1 do
        for _, need in ipairs(dag[i].needs) do
            local next = dag[need] and dag[need].next
            if not next then
                return nil
            end
            next[#next + 1] = i
        end
    end
    return at == #bytes + 1 and dag or nil
end

local function dag_of(c, r)
    local dag = dags[r.dag]
    if not dag then
        dag = dag_read(redis.call('HGET', c.h, 'd:' .. hex8(r.dag)))
        if dag_count >= 256 then
            dags, dag_count = {}, 0
        end
        if dag then
            dags[r.dag] = dag
            dag_count = dag_count + 1
        end
    end
    return dag and dag.count == r.count and dag or nil
end

-- ---- Rules: the same as transition.c ------------------------------------------------------------------------------------
local function is_live(s)
    return s >= READY and s <= WAITING
end
local function is_over(s)
    return s == DONE or s == CANCELLED or s == SKIPPED
end

local function place_of(r)
    local due, ready = 0, false
    if r.remaining == 0 then
        return 'terminal', 0
    end
    if r.session ~= NOBODY then
        return 'own', 0
    end
    if has(r.flags, IS_PAUSED) then
        return 'parked', 0
    end
    for i = 0, r.count - 1 do
        local s = r.s[i]
        if s == READY or s == BLOCKED then
            ready = true
        elseif s == DELAYED or s == WAITING then
            local d = step_at(r, i).due
            if d > 0 and (due == 0 or d < due) then
                due = d
            end
        end
    end
    if ready then
        return 'ring', 0
    end
    return due > 0 and 'due' or 'parked', due
end

local function leave_active(r, i)
    if r.s[i] ~= ACTIVE then
        return
    end
    local class = r.shape[i].class
    if class == CLASS_WRITER and r.writers > 0 then
        r.writers = r.writers - 1
    end
    if class == CLASS_READER and r.readers > 0 then
        r.readers = r.readers - 1
    end
end

local function close_task(c, r, i)
    local d = step_at(r, i)
    if has(d.flags, S_TASK) then
        d.flags = d.flags - S_TASK
        c.f[r.imp .. '/' .. i .. '?'] = false
        c.tasks[r.imp .. '/' .. i] = false
    end
end

local function end_step(c, r, i, state, party)
    local d = step_at(r, i)
    leave_active(r, i)
    close_task(c, r, i)
    r.s[i], d.due, d.party = state, 0, party
    d.flags = has(d.flags, S_RELEASED) and S_RELEASED or 0
end

local function release_next(r, i)
    for _, n in ipairs(r.shape[i].next) do
        if r.s[n] == PENDING then
            local d = step_at(r, n)
            if d.deps > 0 then
                d.deps = d.deps - 1
                if d.deps == 0 then
                    r.s[n] = READY
                end
            end
        end
    end
end

local function done_step(c, r, i)
    end_step(c, r, i, DONE, P_NONE)
    if not has(step_at(r, i).flags, S_RELEASED) then
        release_next(r, i)
    end
end

local function fail_step(c, r, i, state, party)
    local d = step_at(r, i)
    end_step(c, r, i, state, party)
    if r.shape[i].on_fail == ON_FAIL_CONTINUE and not has(d.flags, S_RELEASED) then
        d.flags = d.flags + S_RELEASED
        release_next(r, i)
    end
end

local function rest_step(c, r, i, state, delay, restore)
    local d = step_at(r, i)
    leave_active(r, i)
    if restore and d.attempts > 0 then
        d.attempts = d.attempts - 1
    end
    r.s[i] = has(d.flags, S_SIGNALLED) and READY or state
    d.due = r.s[i] == READY and 0 or c.now + min(delay, DELAY_MS_MAX)
end

-- Out of the forward run of an import that is being undone; transition_undo.c.
local function undo_rewind_step(r, i)
    local d = step_at(r, i)
    r.s[i] = d.deps > 0 and PENDING or READY
    d.attempts, d.crashes, d.flags, d.party, d.due = 0, 0, 0, P_NONE, 0
end

local function rewind_step(c, r, i)
    leave_active(r, i)
    close_task(c, r, i)
    undo_rewind_step(r, i)
end

local function promote_due(c, r)
    for i = 0, r.count - 1 do
        if r.s[i] == DELAYED or r.s[i] == WAITING then
            local d = step_at(r, i)
            if d.due > 0 and d.due <= c.now then
                r.s[i], d.due = READY, 0
            end
        end
    end
end

local function active_count(r)
    local n = 0
    for i = 0, r.count - 1 do
        if r.s[i] == ACTIVE then
            n = n + 1
        end
    end
    return n
end

local function start_step(r, i)
    local d, class = step_at(r, i), r.shape[i].class
    r.s[i] = ACTIVE
    d.attempts = min(d.attempts + 1, 255)
    d.claim_version, d.due, d.flags = r.version, 0, without(d.flags, S_SIGNALLED)
    r.writers = r.writers + (class == CLASS_WRITER and 1 or 0)
    r.readers = r.readers + (class == CLASS_READER and 1 or 0)
    r.run = min(r.run + 1, 255)
    r.vt = r.vt + floor(1000000 / r.weight)
end

local function start_ready(c, r)
    if has(r.flags, IS_PAUSED) or has(r.flags, IS_CANCELLED) or has(r.flags, IS_STOPPING) then
        return
    end
    local others, active = c.ring > (r.place == 'ring' and 1 or 0), active_count(r)
    for i = 0, r.count - 1 do
        if r.s[i] == READY or r.s[i] == BLOCKED then
            if others and r.run >= QUANTUM then
                return
            end
            local class = r.shape[i].class
            if active >= ACTIVE_MAX or (class == CLASS_WRITER and r.writers >= WRITERS_MAX) or
                (class == CLASS_READER and r.readers >= READERS_MAX) then
                step_at(r, i)
                r.s[i] = BLOCKED
            else
                start_step(r, i)
                active = active + 1
            end
        end
    end
end

local function end_hold(r)
    r.session, r.run = NOBODY, 0
    for i = 0, r.count - 1 do
        if r.s[i] == BLOCKED then
            step_at(r, i)
            r.s[i] = READY
        end
    end
end

local function break_hold(c, r)
    r.fence, r.nonce = max(c.now_us, r.fence + 1), 0
    end_hold(r)
end

local function derive_state(r)
    local held, works, waits, waiting, failed = false, false, false, P_NONE, P_NONE
    for i = 0, r.count - 1 do
        local s = r.s[i]
        if is_live(s) then
            local d = step_at(r, i)
            held = held or has(d.flags, S_HELD)
            if d.party == P_NONE and s ~= WAITING then
                works = true
            else
                waits = true
            end
            if waiting == P_NONE then
                waiting = d.party
            end
        elseif (s == FAILED or s == DEAD) and r.shape[i].on_fail ~= ON_FAIL_CONTINUE and failed == P_NONE then
            failed = step_at(r, i).party
        end
    end
    local undoing = has(r.flags, IS_UNDOING)
    if r.remaining == 0 then
        return has(r.flags, IS_CANCELLED) and I_CANCELLED or undoing and I_UNDONE or I_COMPLETED, P_NONE
    elseif has(r.flags, IS_CANCELLED) then
        return I_RUNNING, P_NONE
    elseif has(r.flags, IS_PAUSED) then
        return I_PAUSED, P_OPERATOR
    elseif held then
        return undoing and I_UNDOING or I_HELD, P_OPERATOR
    elseif not has(r.flags, HAS_CLAIM) and not undoing then
        return I_ACCEPTED, P_NONE
    elseif works then
        return undoing and I_UNDOING or I_RUNNING, P_NONE
    elseif waits then
        return undoing and I_UNDOING or I_WAITING, waiting
    end
    return undoing and I_UNDOING or I_FAILED, failed ~= P_NONE and failed or P_OPERATOR
end

local function settle(c, r)
    if r.session ~= NOBODY and active_count(r) == 0 then
        end_hold(r)
    end
    if active_count(r) == 0 then
        r.flags = without(r.flags, IS_STOPPING)
    end
    local remaining = 0
    for i = 0, r.count - 1 do
        local s = r.s[i]
        if not is_over(s) and not ((s == FAILED or s == DEAD) and r.shape[i].on_fail == ON_FAIL_CONTINUE) then
            remaining = remaining + 1
        end
    end
    r.remaining = remaining
    local state, party = derive_state(r)
    if r.state ~= state or r.party ~= party then
        r.state, r.party, r.since = state, party, c.now
    end
    local was = r.place
    r.place, r.due = place_of(r)
    if r.place == 'ring' and was ~= 'ring' then
        r.vt = max(r.vt, c.floor)
        c.ring = c.ring + 1
    elseif was == 'ring' and r.place ~= 'ring' then
        c.ring = c.ring - 1
    end
    r.is_changed = true
end

local function mail(c, r)
    if r.session ~= NOBODY then
        c.mails[#c.mails + 1] = { hex8(r.session), r.imp }
    end
end

-- ---- Events: each gives 'ok', 'nothing', 'already', 'stale' or 'conflict' and settles the record itself ----------------
local function claim(c, r, session, nonce)
    if r.place ~= 'ring' then
        return 'nothing'
    end
    c.floor = max(c.floor, r.vt)
    r.version = r.version + 1
    r.fence, r.nonce, r.session, r.run = max(c.now_us, r.fence + 1), nonce, session, 0
    r.flags = with(r.flags, HAS_CLAIM)
    promote_due(c, r)
    start_ready(c, r)
    settle(c, r)
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

-- What finish() would answer, without changing anything.
local function finish_answer(r, session, item)
    if item.step >= r.count then
        return 'stale'
    end
    local d = step_at(r, item.step)
    if r.fence ~= item.fence or r.nonce ~= item.nonce or item.claim_version == 0 or
        d.claim_version < item.claim_version then
        return 'stale'
    elseif d.claim_version > item.claim_version or r.s[item.step] ~= ACTIVE then
        return 'already'
    end
    return r.session == session and 'ok' or 'stale'
end

local function finish(c, r, session, item)
    local answer, i = finish_answer(r, session, item), item.step
    if answer ~= 'ok' then
        return answer
    end
    local d = step_at(r, i)
    r.version = r.version + 1
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
                rest_step(c, r, i, DELAYED, 100 + (c.now_us + 7919 * i) % 900, false)
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
    d.flags = with(d.flags, S_SIGNALLED)
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

-- ---- One call: what it read, what it will write --------------------------------------------------------------------------
-- f: fields of h to set (text) or delete (false); tasks: members to add (score) or remove (false); counters in '#'.
local function begin(h, counters)
    local c = { h = h, pre = sub(h, 1, -2), f = {}, tasks = {}, mails = {}, read = {}, recs = {}, order = {}, bad = {},
        led = {}, ended = {}, ring = 0, next = 0, floor = 0 }
    c.now_us = clock_us()
    c.now = floor(c.now_us / 1000)
    if counters then
        c.ring, c.next, c.floor = struct.unpack(COUNTERS, counters)
    end
    c.ring0, c.next0, c.floor0 = c.ring, c.next, c.floor
    return c
end

-- Takes an import's record in hand; nil when it is absent or cannot be read (then it is put aside, and audit names it).
local function take(c, imp, bytes)
    local r = bytes and record_read(bytes)
    local shape = r and dag_of(c, r)
    if not shape then
        if bytes then
            c.bad[#c.bad + 1] = imp
        end
        return nil
    end
    r.imp, r.shape = imp, shape
    r.place, r.due = place_of(r)
    r.place0, r.due0, r.session0, r.state0, r.since0, r.vt0 = r.place, r.due, r.session, r.state, r.since, r.vt
    c.recs[imp] = r
    c.order[#c.order + 1] = r
    return r
end

local function take_all(c, imps)
    local missing = {}
    for _, imp in ipairs(imps) do
        if not c.recs[imp] then
            missing[#missing + 1] = imp
        end
    end
    if #missing > 0 then
        local got = redis.call('HMGET', c.h, unpack(missing))
        for k, imp in ipairs(missing) do
            if not take(c, imp, got[k]) and not got[k] then
                c.bad[#c.bad + 1] = imp
            end
        end
    end
end

local function list_add(lists, key, a, b)
    local l = lists[key]
    if not l then
        l = {}
        lists[key] = l
    end
    l[#l + 1] = a
    if b then
        l[#l + 1] = b
    end
end

local function plan_place(c, r, adds, sets, rems)
    local was, is = r.place0, r.place
    local holder_changed = r.session0 ~= r.session
    if is == 'own' and (was ~= 'own' or holder_changed) then
        list_add(sets, 'own:' .. hex8(r.session), r.imp)
    elseif is == 'ring' and (was ~= 'ring' or r.vt ~= r.vt0) then
        list_add(adds, 'ring', r.vt, r.imp)
    elseif is == 'due' and (was ~= 'due' or r.due ~= r.due0) then
        list_add(adds, 'due', r.due, r.imp)
        if c.next == 0 or r.due < c.next then
            c.next = r.due
        end
    end
    if was == 'own' and (is ~= 'own' or holder_changed) then
        list_add(rems, 'own:' .. hex8(r.session0), r.imp)
        list_add(rems, 'mail:' .. hex8(r.session0), r.imp)
    elseif (was == 'ring' or was == 'due') and was ~= is then
        list_add(rems, was, r.imp)
    end
    if r.state0 ~= r.state or r.since0 ~= r.since then
        list_add(adds, 'ix:' .. IMPORT_STATES[r.state], r.since, r.imp)
        if r.state0 and r.state0 ~= r.state then
            list_add(rems, 'ix:' .. IMPORT_STATES[r.state0], r.imp)
        end
    end
end

-- "imp_x i1,0 s3=5,1 o3 c2": import state and party, step states and parties, tasks opened and closed.
local function describe(r)
    local out = { r.imp }
    if r.is_new or r.state ~= r.state0 or r.party ~= byte(r.bytes, 33) then
        out[2] = 'i' .. r.state .. ',' .. r.party
    end
    for i = 0, r.count - 1 do
        local d = r.d[i]
        if d and not r.is_new then
            local at = 73 + 16 * i
            local flags = byte(r.bytes, at + 14)
            if r.s[i] ~= byte(r.bytes, at) or d.party ~= byte(r.bytes, at + 15) then
                out[#out + 1] = 's' .. i .. '=' .. r.s[i] .. ',' .. d.party
            end
            if has(d.flags, S_TASK) ~= has(flags, S_TASK) then
                out[#out + 1] = (has(d.flags, S_TASK) and 'o' or 'c') .. i
            end
        end
    end
    return #out > 1 and table.concat(out, ' ') or nil
end

-- Finished imports give their account free and lose their sealed credential. Reads, so before the first write.
local function plan_terminal(c)
    for _, r in ipairs(c.order) do
        if r.is_changed and r.place == 'terminal' and r.place0 ~= 'terminal' and not r.is_new then
            local account = redis.call('HGET', c.h, r.imp .. ':a')
            if account then
                c.f['acct:' .. account] = false
            end
            c.f[r.imp .. ':c'] = false
        end
    end
end

local function call_lists(c, command, lists)
    for key, l in pairs(lists) do
        redis.call(command, c.pre .. key, unpack(l))
    end
end

local function write_fields(c)
    local set, del = {}, {}
    if c.ring ~= c.ring0 or c.next ~= c.next0 or c.floor ~= c.floor0 then
        c.f['#'] = struct.pack(COUNTERS, c.ring, c.next, c.floor)
    end
    for field, value in pairs(c.f) do
        if value then
            set[#set + 1] = field
            set[#set + 1] = value
        else
            del[#del + 1] = field
        end
    end
    if #set > 0 then
        redis.call('HSET', c.h, unpack(set))
    end
    if #del > 0 then
        redis.call('HDEL', c.h, unpack(del))
    end
end

local function write_tasks(c)
    local add, rem = {}, {}
    for member, score in pairs(c.tasks) do
        if score then
            add[#add + 1] = score
            add[#add + 1] = member
        else
            rem[#rem + 1] = member
        end
    end
    if #add > 0 then
        redis.call('ZADD', c.pre .. 'tasks', 'NX', unpack(add))
    end
    if #rem > 0 then
        redis.call('ZREM', c.pre .. 'tasks', unpack(rem))
    end
end

-- Records that cannot be read leave ring and due, or they would stand in the way for ever.
local function put_aside(c)
    if #c.bad > 0 then
        c.ring = c.ring - redis.call('ZREM', c.pre .. 'ring', unpack(c.bad))
        redis.call('ZREM', c.pre .. 'due', unpack(c.bad))
        redis.call('SADD', c.pre .. 'bad', unpack(c.bad))
    end
end

local function end_sessions(c)
    for _, session in ipairs(c.ended) do
        redis.call('ZREM', c.pre .. 'sess', session)
        redis.call('DEL', c.pre .. 'own:' .. session, c.pre .. 'mail:' .. session)
    end
end

-- Earliest timer, exactly: only when the one we knew has passed.
local function refresh_next(c)
    if c.next == 0 or c.next > c.now then
        return
    end
    local due = redis.call('ZRANGE', c.pre .. 'due', 0, 0, 'WITHSCORES')
    local sess = redis.call('ZRANGE', c.pre .. 'sess', 0, 0, 'WITHSCORES')
    local a, b = tonumber(due[2] or 0), tonumber(sess[2] or 0)
    c.next = (a == 0 or b == 0) and a + b or min(a, b)
end

local function commit(c)
    local adds, sets, rems, events = {}, {}, {}, {}
    plan_terminal(c)
    for _, r in ipairs(c.order) do
        if r.is_changed then
            c.f[r.imp] = record_write(r)
            plan_place(c, r, adds, sets, rems)
            events[#events + 1] = describe(r)
        end
    end
    call_lists(c, 'ZADD', adds)
    call_lists(c, 'SADD', sets)
    put_aside(c)
    for key, l in pairs(rems) do
        local is_set = sub(key, 1, 4) == 'own:' or sub(key, 1, 5) == 'mail:'
        redis.call(is_set and 'SREM' or 'ZREM', c.pre .. key, unpack(l))
    end
    end_sessions(c)
    write_tasks(c)
    for _, line in ipairs(c.led) do
        redis.call('RPUSH', c.pre .. 'led:' .. line[1], line[2])
    end
    for _, m in ipairs(c.mails) do
        redis.call('SADD', c.pre .. 'mail:' .. m[1], m[2])
    end
    local next_known = c.next
    refresh_next(c)
    write_fields(c)
    if #events > 0 then
        redis.call('XADD', c.pre .. 'ev', 'MAXLEN', '~', EVENTS_MAX, '*', 'at', c.now, 'e', table.concat(events, '\n'))
    end
    if (c.ring0 == 0 and c.ring > 0) or (next_known > 0 and (c.next0 == 0 or next_known < c.next0)) then
        redis.call('PUBLISH', c.pre .. 'bell', c.ring > 0 and 'ring' or 'due')
    end
end

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
local ITEM = '<BBI8I4I4I8BBBc0'

local function items_read(args)
    local items, at, next_arg, head = {}, 1, 5, args[4]
    while at <= #head do
        local it = {}
        local outcome, mask
        outcome, it.step, it.fence, it.nonce, it.claim_version, it.delay, it.party, mask, it.imp, at =
            struct.unpack(ITEM, head, at)
        it.outcome = string.char(outcome)
        if not OUTCOMES[it.outcome] or it.party > P_ORGIMPORT then
            return nil
        end
        for bit, name in pairs({ [1] = 'journal', [2] = 'result', [4] = 'task', [8] = 'error', [16] = 'ledger' }) do
            it[name] = has(mask, bit) and bit or nil
        end
        for _, name in ipairs({ 'journal', 'result', 'task', 'error', 'ledger' }) do
            if it[name] then
                it[name] = args[next_arg]
                next_arg = next_arg + 1
                if not it[name] then
                    return nil
                end
            end
        end
        items[#items + 1] = it
    end
    return #items <= ITEMS_MAX and next_arg == #args + 1 and items or nil
end

-- Ledger lines that arrived with an earlier SAVE of the same hold are known by their number.
local function has_arrived(it, head)
    local first = it.ledger and tonumber(string.match(it.ledger, '"n":(%d+)') or '')
    if not first or not head or #head < 13 then
        return false
    end
    local fence, nonce = struct.unpack('<I8I4', head)
    return fence == it.fence and nonce == it.nonce and first <= (tonumber(sub(head, 13)) or 0)
end

-- A line must follow the last one that is stored. A holder that is ahead of us wrote lines which a failover has lost: it
-- must read again what is here, and say so in the chain.
local function is_torn(it, head)
    local first = it.ledger and tonumber(string.match(it.ledger, '"n":(%d+)') or '')
    local last = head and #head >= 13 and tonumber(sub(head, 13)) or 0
    return first and first ~= last + 1
end

-- What an undo leaves stands beside what the forward run left: a step that came to its end after the undo was decided
-- (is_stopping) still tells of the forward run, and its error is nobody's any more.
local function keep_texts(c, r, it, is_stopping)
    local field = it.imp .. '/' .. it.step
    if it.journal then
        c.f[field] = it.journal
    end
    if it.result then
        c.f[field .. (has(r.flags, IS_UNDOING) and not is_stopping and '^' or '=')] = it.result
    end
    if it.error and not is_stopping then
        c.f[field .. '#'] = it.error ~= '' and it.error
    end
    if it.task and it.task ~= '' and has(step_at(r, it.step).flags, S_TASK) then
        c.f[field .. '?'] = it.task
        c.tasks[field] = c.now
    end
    if it.ledger then
        c.led[#c.led + 1] = { it.imp, it.ledger }
        local last = '' -- line by line: one pattern for the end would try every start, in cubic time
        for line in string.gmatch(it.ledger, '[^\n]+') do
            last = line
        end
        c.heads[field] = struct.pack('<I8I4', it.fence, it.nonce) .. (string.match(last, '"n":(%d+)') or '0')
        c.f[field .. '~'] = c.heads[field]
    end
end

local ACKS = { ok = 0, already = 1, stale = 2 }

local function run_item(c, session, is_gone, it)
    local r = c.recs[it.imp]
    if not r or is_gone then
        return 2
    end
    if it.outcome == 'N' then
        c.nudged[#c.nudged + 1] = it.imp
        return ACKS[nudge(c, r, session)]
    end
    if it.outcome == 'S' and finish_answer(r, session, it) == 'ok' and
        has_arrived(it, c.heads[it.imp .. '/' .. it.step]) then
        return 1
    end
    if is_torn(it, c.heads[it.imp .. '/' .. it.step]) and finish_answer(r, session, it) == 'ok' then
        return 2
    end
    local is_stopping = has(r.flags, IS_STOPPING)
    local answer = finish(c, r, session, it)
    if answer == 'ok' then
        keep_texts(c, r, it, is_stopping)
    end
    return ACKS[answer]
end

-- The ring as it will stand after this call: what is stored, and what has entered just now.
local function ring_lowest(c, want)
    local list = {}
    local stored = redis.call('ZRANGE', c.pre .. 'ring', 0, want - 1, 'WITHSCORES')
    for k = 1, #stored, 2 do
        local r = c.recs[stored[k]]
        if not r or (r.place == 'ring' and r.place0 == 'ring') then
            list[#list + 1] = { stored[k], tonumber(stored[k + 1]) }
        end
    end
    for _, r in ipairs(c.order) do
        if r.place == 'ring' and r.place0 ~= 'ring' then
            list[#list + 1] = { r.imp, r.vt }
        end
    end
    table.sort(list, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
    local imps = {}
    for k = 1, min(want, #list) do
        imps[k] = list[k][1]
    end
    return imps
end

local function run_claims(c, session, nonce, want)
    local claimed = {}
    if want <= 0 or c.ring <= 0 then
        return claimed
    end
    local imps = ring_lowest(c, min(want, CLAIMS_MAX))
    take_all(c, imps)
    for k, imp in ipairs(imps) do
        local r = c.recs[imp]
        local number = (nonce + k - 1) % 4294967295 + 1
        if r and claim(c, r, session, number) == 'ok' then
            claimed[#claimed + 1] = r
        end
    end
    return claimed
end

local function turn_fields(me, items)
    local fields, seen = { '#', 's:' .. me }, {}
    for _, it in ipairs(items) do
        if not seen[it.imp] then
            seen[it.imp] = true
            fields[#fields + 1] = it.imp
        end
        local head = it.ledger and it.imp .. '/' .. it.step .. '~'
        if head and not seen[head] then
            seen[head] = true
            fields[#fields + 1] = head
        end
    end
    return fields
end

local function turn_begin(h, me, items)
    local fields = turn_fields(me, items)
    local got = redis.call('HMGET', h, unpack(fields))
    local c = begin(h, got[1])
    c.heads, c.nudged, c.is_gone = {}, {}, not got[2]
    for k = 3, #fields do
        local head = string.match(fields[k], '^(.*)~$')
        if head then
            c.heads[head] = got[k]
        else
            take(c, fields[k], got[k])
        end
    end
    return c
end

local function turn_reply(c, me, items, acks, claimed)
    local answers, claims = {}, {}
    for k, it in ipairs(items) do
        answers[2 * k - 1] = acks[k]
        answers[2 * k] = c.recs[it.imp] and (c.f[it.imp] or c.recs[it.imp].bytes) or ''
    end
    for _, r in ipairs(claimed) do
        claims[#claims + 1] = r.imp
        claims[#claims + 1] = c.f[r.imp]
    end
    local mails = c.is_gone and {} or redis.call('SRANDMEMBER', c.pre .. 'mail:' .. me, TIMERS_MAX)
    return { c.now, c.next, c.ring > 0 and 1 or 0, c.is_gone and 1 or 0, answers, claims, mails }
end

-- args: session hex, random number, want, packed items, texts of the items as their masks say.
local function turn(keys, args)
    local me, nonce, want, items = args[1], tonumber(args[2]), tonumber(args[3]), items_read(args)
    if not items or not nonce or not want or #me ~= 16 then
        return redis.error_reply('USAGE turn')
    end
    local c, session, acks = turn_begin(keys[1], me, items), unhex8(me), {}
    run_timers(c, me)
    for k, it in ipairs(items) do
        acks[k] = run_item(c, session, c.is_gone, it)
    end
    local claimed = c.is_gone and {} or run_claims(c, session, nonce, want)
    if c.late then
        redis.call('ZADD', c.pre .. 'sess', 'XX', 'GT', c.now + 5000, me)
    end
    if #c.nudged > 0 then
        redis.call('SREM', c.pre .. 'mail:' .. me, unpack(c.nudged))
    end
    commit(c)
    return turn_reply(c, me, items, acks, claimed)
end

-- ---- Sessions ----------------------------------------------------------------------------------------------------------
-- args[4] 'again': only the worker's facts are refreshed; a session that was reaped stays dead.
local function open(keys, args)
    if args[4] == 'again' and redis.call('HEXISTS', keys[1], 's:' .. args[1]) == 0 then
        return { 1 }
    end
    local c = begin(keys[1], redis.call('HGET', keys[1], '#'))
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

local function beat(keys, args)
    if redis.call('HEXISTS', keys[1], 's:' .. args[1]) == 0 then
        return { 1, 0, 0 }
    end
    local pre = sub(keys[1], 1, -2)
    redis.call('ZADD', pre .. 'sess', 'XX', 'GT', floor(clock_us() / 1000) + tonumber(args[2]), args[1])
    return { 0, redis.call('SCARD', pre .. 'own:' .. args[1]), redis.call('SCARD', pre .. 'mail:' .. args[1]) }
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

-- ---- Everybody's calls ---------------------------------------------------------------------------------------------------
-- args: import, account key, dag hash hex, dag, record, document, credential or ''. Gives the id of the open import.
local function submit(keys, args)
    local imp, account, h = args[1], args[2], keys[1]
    local got = redis.call('HMGET', h, '#', imp, 'acct:' .. account, 'd:' .. args[3])
    if got[2] then
        return { 4, imp }
    elseif got[3] then
        return { 4, got[3] }
    elseif got[4] and got[4] ~= args[4] then
        return redis.error_reply('CORRUPT another playbook shape has the same hash')
    end
    local c, r, shape = begin(h, got[1]), record_read(args[5]), dag_read(args[4])
    if not r or not shape or shape.count ~= r.count or hex8(r.dag) ~= args[3] then
        return redis.error_reply('CORRUPT the record does not fit its playbook')
    end
    r.imp, r.shape, r.is_new, r.place = imp, shape, true, ''
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
    end
    if answer == 'ok' then
        if args[3] ~= '' then
            c.led[1] = { imp, args[3] }
            c.f[imp .. '~'] = (string.match(args[3], '"n":(%d+)') or '0') .. ':' ..
                (string.match(args[3], '"hash":"(%x+)"') or '')
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

-- own args: key, body.
local function signal(keys, args)
    local key, body = args[5], args[6]
    return decide(keys, args, function(c, r, step)
        local targets, answer = signal_targets(r, step, key), key == 'recheck' and 'nothing' or 'conflict'
        for _, i in ipairs(targets) do
            local field = r.imp .. '/' .. i .. '!' .. key
            local is_stored = redis.call('HEXISTS', c.h, field) == 1
            local one = signal_step(c, r, i, key == 'recheck', is_stored)
            if one == 'ok' then
                c.f[field] = body
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

-- KEYS[1]: the bucket. args: rate per second x 100, burst, want. Gives granted, wait in ms. Counts in 1/100,000 tokens.
local function tokens(keys, args)
    local rate, burst, want = tonumber(args[1]), tonumber(args[2]) * 100000, tonumber(args[3])
    local got, now = redis.call('HMGET', keys[1], 't', 'at'), floor(clock_us() / 1000)
    local have = min(burst, tonumber(got[1] or burst) + max(0, now - tonumber(got[2] or now)) * rate)
    local granted = min(want, floor(have / 100000))
    have = have - granted * 100000
    redis.call('HSET', keys[1], 't', string.format('%.0f', have), 'at', now)
    redis.call('PEXPIRE', keys[1], 60000 + floor(burst / max(rate, 1)))
    return { granted, granted < want and math.ceil((100000 - have) / max(rate, 1)) or 0 }
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

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
    d.flags = (has(d.flags, S_RELEASED) and S_RELEASED or 0) + (has(d.flags, S_SIGNALS) and S_SIGNALS or 0)
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

-- What an import of a group has started is charged to the group when it is claimed, and when its hold ends.
local function charge_group(r)
    if r.group ~= 0 then
        r.charge, r.vt = r.charge + r.vt, 0
    end
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
    if was == 'own' and r.place ~= 'own' then
        charge_group(r)
    end
    if r.place == 'ring' and was ~= 'ring' then
        r.vt = r.group == 0 and max(r.vt, c.floor) or 0
        c.ring = c.ring + 1
    elseif was == 'ring' and r.place ~= 'ring' then
        c.ring = c.ring - 1
    end
    r.stamp = c.stamp
    r.is_changed = true
end

local function mail(c, r)
    if r.session ~= NOBODY then
        c.mails[#c.mails + 1] = { hex8(r.session), r.imp }
    end
end


#include "worker/runtime/gate_private.h"

#include "common/aws/services/sts.h"

#define LEASE_WAIT_MS 500 /* until the next heartbeat has stretched the lease */
#define IDENTITY_FRESH_MS 10000

const char *gate_account(const struct gate *g)
{
    return json_str_at(g->import, "vars.account_id");
}

struct session *gate_session(struct gate *g)
{
    return g->session;
}

void gate_drop_sessions(struct gate *g)
{
    session_drop(g->session);
    for (size_t i = 0; i < GATE_ROLES_MAX; i++)
        if (g->roles[i])
            session_drop(g->roles[i]);
}

/* Whose name is on the customer's side of this call; NULL when the document lists no such role. */
static struct session *customer_session(struct gate *g, const struct passage *p)
{
    size_t at = p->call ? p->call->through : 0;
    if (!at)
        return g->session;
    const json_t *role = json_array_get(json_at(g->import, "access.roles"), at - 1);
    if (!role || at > GATE_ROLES_MAX)
        return NULL;
    if (!g->roles[at - 1])
        g->roles[at - 1] = session_new_role(&g->tools.session, g->import, role, g->tools.own->sessions[AWS_AS_TRUSTED],
                                            g->leave_before, g->leave_arg);
    return g->roles[at - 1];
}

struct gate *gate_new(const struct gate_tools *tools, const json_t *import, uint64_t (*leave_before)(void *), void *arg)
{
    struct gate *g = MEM_NEW(struct gate);
    *g = (struct gate){.tools = *tools, .leave_before = leave_before, .leave_arg = arg};
    g->import = json_incref((json_t *)(uintptr_t)import);
    g->reads = json_object();
    g->session =
        session_new_customer(&tools->session, import, tools->own->sessions[AWS_AS_OPERATOR], leave_before, arg);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    while (g->passages)
        passage_free(g->passages);
    events_free_all(g);
    session_free(g->session);
    for (size_t i = 0; i < GATE_ROLES_MAX; i++)
        session_free(g->roles[i]);
    json_decref(g->reads);
    json_decref(g->import);
    mem_free(g);
}

void gate_forget_reads(struct gate *g)
{
    json_object_clear(g->reads);
}

/* ---- Passages ---- */
struct passage *passage_new(struct gate *g, struct step_call *call)
{
    struct passage *p = MEM_NEW(struct passage);
    *p = (struct passage){.gate = g, .call = call, .next = g->passages, .back = &g->passages};
    if (p->next)
        p->next->back = &p->next;
    g->passages = p;
    if (call) {
        p->op = call->op;
        p->args = call->args;
        p->region = call->region;
        call->host_data = p;
    }
    /* A write is signed while its intent is young, however long it took to save that. */
    uint64_t age_ms = call ? step_call_age_ms(call) : 0, now = env_boot_ms(g->tools.session.env);
    p->began_boot_ms = now > age_ms ? now - age_ms : 0;
    return p;
}

static void tokens_granted(void *arg);
static void session_ready(void *arg, struct aws_identity *identity, const struct err *err);

void passage_free(struct passage *p)
{
    struct gate *g = p->gate;
    *p->back = p->next;
    if (p->next)
        p->next->back = p->back;
    if (p->sent)
        aws_call_cancel(p->sent);
    if (p->state == PASSAGE_SESSION && p->session)
        session_forget(p->session, session_ready, p);
    if (p->state == PASSAGE_TOKENS && g->tools.session.undraw)
        g->tools.session.undraw(g->tools.session.draw_self, tokens_granted, p);
    if (p->state == PASSAGE_EVENTS)
        events_forget(p);
    if (p->mail)
        mail_forget(p->mail);
    if (p->halt)
        halt_forget(p->halt);
    later_cancel(p->later);
    if (p->identity)
        aws_identity_unref(p->identity);
    if (p->call)
        p->call->host_data = NULL;
    json_decref(p->own_args);
    mem_free(p);
}

void passage_answer(struct passage *p, const struct step_answer *answer)
{
    const struct gate_tools tools = p->gate->tools;
    struct events *e = p->events;
    struct step_call *call = p->call;
    p->state = PASSAGE_SENT;
    passage_free(p);
    if (e)
        events_answer(e, answer);
    else if (tools.answer)
        tools.answer(tools.answer_self, call, answer);
    else
        step_answered(call, answer);
}

void passage_fail(struct passage *p, const struct err *err)
{
    passage_answer(p, &(struct step_answer){.err = err});
}

static const struct passage *reader_of(const struct gate *g, const struct passage *me)
{
    for (const struct passage *p = g->passages; p; p = p->next)
        if (p != me && p->state != PASSAGE_SHARED && strcmp(p->key, me->key) == 0)
            return p;
    return NULL;
}

/* ---- Reads that polls share ---- */
/* Human steps of one import wake on one grid and ask the same few questions: one answer serves them all. Steps that
 * work never get a shared answer, and a write makes all of them void. */
static bool may_share(const struct step_call *call)
{
    return !call->op->mutates && !call->must_be_fresh && call->op->service->host[0] && step_is_poll(call->step);
}

static void give_shared(void *arg)
{
    struct passage *p = arg;
    p->later = NULL;
    json_auto_t *facts = json_incref(json_object_get(json_object_get(p->gate->reads, p->key), "facts"));
    if (facts) {
        passage_answer(p, &(struct step_answer){.facts = facts});
        return;
    }
    p->state = PASSAGE_SESSION; /* forgotten meanwhile: ask AWS */
    passage_begin(p);
}

static bool take_shared(struct passage *p)
{
    struct gate *g = p->gate;
    json_auto_t *id = json_make("{s:s, s:s}", "op", p->op->name, "args", p->call->digest);
    json_digest(id, p->key);
    const json_t *known = json_object_get(g->reads, p->key);
    uint64_t now = env_boot_ms(g->tools.session.env);
    bool is_new = known && now - (uint64_t)json_int_at(known, "at") <= g->tools.share_ms;
    if (!is_new && !reader_of(g, p))
        return false;
    p->state = PASSAGE_SHARED;
    if (is_new)
        p->later = later_add(g->tools.session.later, 0, give_shared, p);
    return true;
}

static void share(struct gate *g, const char *key, const struct step_answer *answer)
{
    if (!answer->err)
        json_put(g->reads, key,
                 json_make("{s:O, s:I}", "facts", answer->facts, "at", (json_int_t)env_boot_ms(g->tools.session.env)));
    for (struct passage *p = g->passages, *next = NULL; p; p = next) {
        next = p->next;
        if (p->state != PASSAGE_SHARED || p->later || strcmp(p->key, key) != 0)
            continue;
        if (!answer->err) {
            p->later = later_add(g->tools.session.later, 0, give_shared, p);
        } else { /* a failure is nobody's answer but the asker's */
            p->state = PASSAGE_SESSION;
            passage_begin(p);
        }
    }
}

/* ---- On the way ---- */
static void leave(struct passage *p);

static void lease_waited(void *arg)
{
    struct passage *p = arg;
    p->later = NULL;
    leave(p);
}

/* Our own accounts' keys may be rotated while we run: the next call reads them anew. The customer's are the run's
 * affair. */
static void forget_dead_keys(const struct passage *p, const struct err *err)
{
    bool is_dead = err && (err->code == ERR_AWS_EXPIRED || err->code == ERR_AWS_CREDENTIALS ||
                           err->code == ERR_OPERATOR_CREDENTIALS);
    if (!is_dead || p->op->who == AWS_AS_CUSTOMER || p->op->who == AWS_AS_NOBODY)
        return;
    struct session *own = p->gate->tools.own->sessions[p->op->who];
    if (own)
        session_drop(own);
}

static bool may_sign_later(const struct passage *p)
{
    const struct gate_tools *t = &p->gate->tools;
    return !p->op->mutates || !t->sign_within_ms ||
           env_boot_ms(t->session.env) + LEASE_WAIT_MS < p->began_boot_ms + t->sign_within_ms;
}

/* When the call must have left: before the lease can end, and for a write while its intent is young. */
static uint64_t must_leave_before(void *arg)
{
    const struct passage *p = arg;
    const struct gate *g = p->gate;
    uint64_t lease = g->leave_before ? g->leave_before(g->leave_arg) : 0;
    if (!p->op->mutates || !g->tools.sign_within_ms)
        return lease;
    uint64_t young = p->began_boot_ms + g->tools.sign_within_ms + g->tools.call_timeout_ms;
    return !lease || young < lease ? young : lease;
}

static void call_answered(void *arg, const struct aws_outcome *outcome)
{
    struct passage *p = arg;
    struct gate *g = p->gate;
    char key[65];
    p->sent = NULL;
    forget_dead_keys(p, outcome->err);
    if (outcome->err && outcome->err->code == ERR_LEASE_LOST && g->leave_before && g->leave_before(g->leave_arg) &&
        may_sign_later(p)) {
        /* Too little was left of the lease for this call; the next heartbeat stretches it. When the lease is really
         * gone, the import is taken away from us and this passage with it. */
        p->state = PASSAGE_LEASE;
        p->later = later_add(g->tools.session.later, LEASE_WAIT_MS, lease_waited, p);
        return;
    }
    if (p->op->mutates)
        gate_forget_reads(g);
    struct step_answer answer = {.facts = outcome->facts,
                                 .err = outcome->err,
                                 .aws_code = outcome->aws_code,
                                 .request_id = outcome->request_id,
                                 .pages = outcome->pages};
    memcpy(key, p->key, sizeof key);
    if (key[0])
        p->key[0] = 0;
    if (key[0])
        share(g, key, &answer);
    passage_answer(p, &answer);
}

static const struct aws_op *const *manifest_of(const struct passage *p)
{
    static const struct aws_op *const none[] = {NULL};
    return p->call ? step_manifest(p->call->step) : p->events ? events_manifest() : none;
}

/* What CloudTrail shows as user agent: the import and, where a step asks, the hold that asks. An effect whose answer
 * was lost is so tied to one holder, whoever else came after. */
static void name_hold(const struct passage *p, char *ret, size_t size)
{
    const char *nonce = p->call ? step_nonce(p->call->step) : "";
    (void)snprintf(ret, size, "%s%s%s", json_str_at(p->gate->import, "id"), *nonce ? "/" : "", nonce);
}

static void leave(struct passage *p)
{
    struct gate *g = p->gate;
    bool is_customer = p->op->who == AWS_AS_CUSTOMER;
    const char *account = p->identity ? p->identity->account_id : "";
    struct aws_grant grant = {.ops = manifest_of(p), .account_id = is_customer ? gate_account(g) : account};
    char label[64];
    if (halt_forbids(p)) {
        halt_refuse(p);
        return;
    }
    if (p->op->mutates)
        gate_forget_reads(g);
    p->state = PASSAGE_SENT;
    name_hold(p, label, sizeof label);
    p->sent = aws_call(g->tools.session.aws,
                       &(struct aws_call_input){.op = p->op,
                                                .args = p->args,
                                                .grant = &grant,
                                                .identity = p->identity,
                                                .region = p->region ? p->region : "",
                                                .bucket_owner = "",
                                                .label = label,
                                                .leave_before = must_leave_before,
                                                .leave_arg = p,
                                                .rate_key = *account ? account : gate_account(g)},
                       call_answered, p);
}

static void tokens_granted(void *arg)
{
    struct passage *p = arg;
    later_cancel(TAKE(p->later));
    leave(p);
}

/* Too old to be signed, and others wait behind it: its place goes to them, unused, and the step asks anew. With the
 * place kept, a queue longer than that would spend every token on a call that is refused then. */
static void waited_too_long(void *arg)
{
    struct passage *p = arg;
    const struct session_tools *t = &p->gate->tools.session;
    struct err err = {0};
    p->later = NULL;
    if (t->undraw)
        t->undraw(t->draw_self, tokens_granted, p);
    (void)err_set(&err, ERR_LEASE_LOST, "%s: its turn did not come while its intent was young", p->op->name);
    passage_fail(p, &err);
}

static void wait_for_tokens(struct passage *p)
{
    struct gate *g = p->gate;
    p->state = PASSAGE_TOKENS;
    if (p->op->mutates && g->tools.sign_within_ms) {
        uint64_t age_ms = env_boot_ms(g->tools.session.env) - p->began_boot_ms;
        uint64_t left_ms = g->tools.sign_within_ms > age_ms ? g->tools.sign_within_ms - age_ms : 0;
        p->later = later_add(g->tools.session.later, left_ms, waited_too_long, p);
    }
    g->tools.session.draw(g->tools.session.draw_self, p->identity->account_id, p->op, tokens_granted, p);
}

static void session_ready(void *arg, struct aws_identity *identity, const struct err *err)
{
    struct passage *p = arg;
    struct gate *g = p->gate;
    p->session = NULL;
    if (err) {
        char key[65];
        memcpy(key, p->key, sizeof key);
        p->key[0] = 0;
        if (key[0])
            share(g, key, &(struct step_answer){.err = err});
        passage_fail(p, err);
        return;
    }
    p->identity = aws_identity_ref(identity);
    if (p->op->who == AWS_AS_CUSTOMER || !g->tools.session.draw) {
        leave(p);
        return;
    }
    wait_for_tokens(p);
}

static void fail_unconfigured(void *arg)
{
    struct passage *p = arg;
    struct err err = {0};
    p->later = NULL;
    (void)err_set(&err, ERR_OPERATOR_CREDENTIALS, "%s needs credentials that this worker does not have", p->op->name);
    passage_fail(p, &err);
}

void passage_begin(struct passage *p)
{
    struct gate *g = p->gate;
    p->state = PASSAGE_SESSION;
    if (p->op->who == AWS_AS_NOBODY) {
        leave(p);
        return;
    }
    p->session = p->op->who == AWS_AS_CUSTOMER ? customer_session(g, p) : g->tools.own->sessions[p->op->who];
    if (p->session)
        session_use(p->session, session_ready, p);
    else
        p->later = later_add(g->tools.session.later, 0, fail_unconfigured, p);
}

/* ---- What the runtime offers beside AWS ---- */
static bool is_about_access(const struct err *err)
{
    return err->code == ERR_AWS_CREDENTIALS || err->code == ERR_WRONG_ACCOUNT || err->code == ERR_AWS_EXPIRED;
}

static void identity_ready(void *arg, struct aws_identity *identity, const struct err *err)
{
    struct passage *p = arg;
    p->session = NULL;
    if (err && !is_about_access(err)) {
        passage_fail(p, err);
        return;
    }
    json_auto_t *facts = json_make("{s:b, s:s, s:s}", "ok", !err, "code", err ? err_info(err->code)->name : "", "text",
                                   err ? err->text : "");
    json_put_str(facts, "method", json_str_at(p->gate->import, "access.method"));
    json_put_str(facts, "account", identity ? identity->account_id : "");
    json_put_str(facts, "arn", identity ? identity->arn : "");
    json_put_str(facts, "access_key_id",
                 identity ? identity->access_key_id : session_key_id(customer_session(p->gate, p)));
    json_put_str(facts, "origin", err ? err->origin : "");
    passage_answer(p, &(struct step_answer){.facts = facts});
}

/* Asked because somebody wants to know now: an old assertion is made again. */
static void ask_identity(struct passage *p)
{
    struct gate *g = p->gate;
    struct session *s = customer_session(g, p);
    p->state = PASSAGE_SESSION;
    if (!s) {
        p->later = later_add(g->tools.session.later, 0, fail_unconfigured, p);
        return;
    }
    uint64_t at = session_asserted_boot_ms(s);
    if (at && env_boot_ms(g->tools.session.env) - at > IDENTITY_FRESH_MS)
        session_drop(s);
    p->session = s;
    session_use(s, identity_ready, p);
}

/* A document that says "read_only" may not change anything, whatever its steps declare. */
static bool may_not_write(const struct gate *g, const struct step_call *call)
{
    return call->op->mutates && call->op != &step_op_mail && json_bool_at(g->import, "read_only");
}

static void fail_read_only(void *arg)
{
    struct passage *p = arg;
    struct err err = {0};
    p->later = NULL;
    (void)err_set(&err, ERR_OP_UNDECLARED, "%s would write, and this run only looks", p->op->name);
    passage_fail(p, &err);
}

static void mailed(void *arg, const json_t *facts, const struct err *err)
{
    struct passage *p = arg;
    p->mail = NULL;
    passage_answer(p, &(struct step_answer){.facts = facts, .err = err});
}

void gate_call(struct gate *g, struct step_call *call)
{
    struct passage *p = passage_new(g, call);
    if (may_not_write(g, call)) {
        p->state = PASSAGE_SHARED;
        p->later = later_add(g->tools.session.later, 0, fail_read_only, p);
    } else if (call->op == &step_op_identity) {
        ask_identity(p);
    } else if (call->op == &step_op_mail) {
        p->state = PASSAGE_MAIL;
        p->mail = mail_send(g->tools.mail, call->args, mailed, p);
    } else if (call->op == &step_op_halt) {
        halt_ask(p);
    } else if (call->op == &step_op_events) {
        events_ask(p);
    } else if (!may_share(call) || !take_shared(p)) {
        passage_begin(p);
    }
}

/* The first of several polls gives up its read: the next one in line asks. */
static void pass_on(struct gate *g, const char *key)
{
    for (struct passage *p = g->passages; p; p = p->next) {
        if (p->state != PASSAGE_SHARED || p->later || strcmp(p->key, key) != 0)
            continue;
        passage_begin(p);
        return;
    }
}

void gate_cancel(struct gate *g, struct step_call *call)
{
    struct passage *p = call->host_data;
    if (!p)
        return;
    char key[65];
    memcpy(key, p->key, sizeof key);
    bool was_reader = key[0] && p->state != PASSAGE_SHARED;
    if (p->session && p->op == &step_op_identity)
        session_forget(p->session, identity_ready, p);
    passage_free(p);
    if (was_reader)
        pass_on(g, key);
}

#include "dispatcher/store/submit.h"

#include "common/base/mem.h"
#include "dispatcher/planner/plan.h"

#include <stdio.h>

/* KEYS refs orgs ids drift:due.  ARGV ref, account, new import id, given id or "", import that may be replaced or "",
 * now, then pairs of candidates (id, names as JSON).  Everything is decided before the first write. */
static const char claim_lua[] = "local ref, acct, imp, given, old = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]\n"
                                "local cur = redis.call('HGET', KEYS[1], ref)\n"
                                "local org = redis.call('HGET', KEYS[2], acct)\n"
                                "local is_mine = false\n"
                                "if cur then\n"
                                "  local id, of = string.match(cur, '^(%S+) (%S+)$')\n"
                                "  if of ~= acct then return {'other', id, of} end\n"
                                "  if id ~= old then is_mine, imp = true, id end\n"
                                "end\n"
                                "if org and given ~= '' and not is_mine then\n"
                                "  local kept = cjson.decode(org).id\n"
                                "  if given ~= kept then return {'kept', kept} end\n"
                                "end\n"
                                "for i = 7, org and 0 or #ARGV, 2 do\n"
                                "  local of = redis.call('HGET', KEYS[3], ARGV[i])\n"
                                "  if not of or of == acct then\n"
                                "    org = ARGV[i + 1]\n"
                                "    redis.call('HSET', KEYS[3], ARGV[i], acct)\n"
                                "    redis.call('HSET', KEYS[2], acct, org)\n"
                                "    break\n"
                                "  end\n"
                                "end\n"
                                "if not org then return {'taken'} end\n"
                                "if is_mine then return {'mine', imp, org} end\n"
                                "redis.call('HSET', KEYS[1], ref, imp .. ' ' .. acct)\n"
                                "redis.call('ZADD', KEYS[4], 'NX', ARGV[6], imp)\n"
                                "return {'new', imp, org}\n";

/* Gives the external_ref back when the shard refused; what it was before (a finished import) is put in its place again.
 */
static const char release_lua[] = "if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then\n"
                                  "  if ARGV[3] ~= '' then return redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end\n"
                                  "  return redis.call('HDEL', KEYS[1], ARGV[1])\n"
                                  "end\n"
                                  "return 0\n";

#define CANDIDATES 4

struct submit {
    struct store *store;
    json_t *request;
    submit_fn *done;
    void *arg;
    struct profile *profile; /* held: a newer one may come while we wait */
    const struct playbook *playbook;
    struct plan_org org;
    struct plan plan;
    char import_id[IMPORT_ID_BYTES], replaces[IMPORT_ID_BYTES], account_key[PLAN_ACCOUNT_KEY_BYTES];
    bool is_claimed; /* the external_ref was put in by this very submit */
    struct err err;
};

static void finish(struct submit *m, const struct err *err, bool is_new)
{
    struct submit_outcome outcome = {.is_new = is_new, .import_id = m->import_id, .doc = m->plan.doc};
    m->done(m->arg, err, err ? NULL : &outcome);
    plan_done(&m->plan);
    profile_unref(m->profile);
    json_decref(m->request);
    mem_free(m);
}

static void released(void *arg, const struct err *err, const redisReply *reply)
{
    (void)err; /* not released: a resend finds its own claim and submits again */
    (void)reply;
    struct submit *m = arg;
    finish(m, &m->err, false);
}

static void fail(struct submit *m, const struct err *err)
{
    m->err = *err;
    if (!m->is_claimed || err->code == ERR_REDIS) { /* unknown outcome: the claim must stay for the resend */
        finish(m, &m->err, false);
        return;
    }
    AUTO_FREE char *mine = mem_printf("%s %s", m->import_id, m->account_key);
    AUTO_FREE char *before = m->replaces[0] ? mem_printf("%s %s", m->replaces, m->account_key) : mem_dup("");
    store_eval(m->store,
               &(struct store_call){release_lua, (const char *[]){"refs"}, 1,
                                    (const char *[]){json_str_at(m->request, "external_ref"), mine, before}, 3},
               released, m);
}

static void submitted(void *arg, const struct err *err, const char *existing_id)
{
    struct submit *m = arg;
    if (err)
        fail(m, err);
    else
        finish(m, NULL, !existing_id || !*existing_id);
}

static int make_plan(struct submit *m, struct err *err)
{
    plan_done(&m->plan);
    struct plan_input in = {.profile = m->profile,
                            .playbook = m->playbook,
                            .request = m->request,
                            .import_id = m->import_id,
                            .org = &m->org,
                            .is_simulated = m->store->is_simulated,
                            .now_ms = env_unix_ms(m->store->env)};
    return plan_import(&in, &m->plan, err);
}

static void into_shard(struct submit *m)
{
    AUTO_FREE char *doc = json_text(m->plan.doc);
    struct queue_submit in = {.import_id = m->import_id,
                              .account_key = m->account_key,
                              .dag = &m->plan.dag,
                              .record = &m->plan.record,
                              .doc = doc,
                              .credential = m->plan.credential};
    queue_submit(m->store->queue, &in, submitted, m);
}

static int read_claim(struct submit *m, const redisReply *reply, struct err *err)
{
    const char *what = store_text(store_element(reply, 0)), *second = store_text(store_element(reply, 1));
    if (str_eq(what, "other"))
        return err_set(err, ERR_IMPORT_EXISTS, "external_ref \"%.64s\" belongs to the import %.40s of %.32s",
                       json_str_at(m->request, "external_ref"), second, store_text(store_element(reply, 2)));
    if (str_eq(what, "kept"))
        return err_set(err, ERR_FIELD_INVALID,
                       "this organization has the id %.20s since its first import; it cannot change", second);
    if (str_eq(what, "taken"))
        return err_set(err, ERR_FIELD_INVALID, "another organization has the id %s", m->org.id);
    m->is_claimed = str_eq(what, "new");
    (void)snprintf(m->import_id, sizeof m->import_id, "%s", second);
    json_auto_t *org =
        json_read(store_text(store_element(reply, 2)), strlen(store_text(store_element(reply, 2))), 0, err);
    if (!org || plan_org_from_json(org, &m->org, err) < 0)
        return -1;
    return make_plan(m, err); /* with the names that are kept */
}

static void claimed(void *arg, const struct err *err, const redisReply *reply)
{
    struct submit *m = arg;
    struct err mine = {0};
    if (err)
        fail(m, err);
    else if (read_claim(m, reply, &mine) < 0)
        fail(m, &mine);
    else
        into_shard(m);
}

static void claim(struct submit *m)
{
    char *names[CANDIDATES] = {0};
    struct plan_org candidates[CANDIDATES];
    const char *given = json_str_at(m->request, "id");
    char now[24];
    (void)snprintf(now, sizeof now, "%llu", (unsigned long long)env_unix_ms(m->store->env));
    const char *args[6 + 2 * CANDIDATES] = {
        json_str_at(m->request, "external_ref"), m->account_key, m->import_id, given, m->replaces, now};
    size_t n = 6;
    for (uint32_t i = 0; i < (*given ? 1 : CANDIDATES); i++) {
        candidates[i] = m->org;
        if (i)
            plan_org_id(m->request, i, candidates[i].id);
        json_auto_t *json = plan_org_json(&candidates[i]);
        names[i] = json_text(json);
        args[n++] = candidates[i].id;
        args[n++] = names[i];
    }
    store_eval(m->store,
               &(struct store_call){claim_lua, (const char *[]){"refs", "orgs", "ids", "drift:due"}, 4, args, n},
               claimed, m);
    for (size_t i = 0; i < CANDIDATES; i++)
        mem_free(names[i]);
}

/* options.rerun: the import that this external_ref names now may be replaced, but only when it has ended. */
static void found_state(void *arg, const struct err *err, json_t *value)
{
    struct submit *m = arg;
    enum import_state state = IMPORT_ACCEPTED;
    if (err && err->code != ERR_NOT_FOUND) {
        fail(m, err);
        json_decref(value);
        return;
    }
    bool is_over = value && import_state_parse(json_str_at(value, "state"), &state) && import_state_is_terminal(state);
    if (!is_over)
        m->replaces[0] = 0;
    json_decref(value);
    claim(m);
}

static void found_ref(void *arg, const struct err *err, const redisReply *reply)
{
    struct submit *m = arg;
    if (err) {
        fail(m, err);
        return;
    }
    size_t n = strcspn(store_text(reply), " ");
    if (!n || n >= sizeof m->replaces) {
        claim(m);
        return;
    }
    memcpy(m->replaces, store_text(reply), n);
    m->replaces[n] = 0;
    queue_get(m->store->queue, m->replaces, found_state, m);
}

/* A fault of the input is told without any claim; also late, as callbacks are. */
struct refusal {
    uv_timer_t timer;
    struct submit *submit;
};

static void refusal_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void refuse(uv_timer_t *timer)
{
    struct refusal *r = timer->data;
    fail(r->submit, &r->submit->err);
    uv_close((uv_handle_t *)timer, refusal_closed);
}

bool submit_is_undecided(const struct err *err)
{
    return err && (err->code == ERR_REDIS || err->code == ERR_REDIS_FULL || err->code == ERR_REDIS_DISK);
}

void submit_import(struct store *s, const json_t *request, submit_fn *done, void *arg)
{
    struct submit *m = MEM_NEW(struct submit);
    struct input_context ctx = store_context(s);
    m->store = s;
    m->request = json_deep_copy(request);
    m->done = done;
    m->arg = arg;
    m->profile = profile_ref(s->profile);
    m->playbook = input_playbook(&ctx, request);
    plan_account_key(request, m->account_key);
    plan_org_draw(s->env, request, 0, &m->org);
    const char *slash = strchr(m->account_key, '/');
    AUTO_FREE char *partition = mem_dup_bytes(m->account_key, (size_t)(slash - m->account_key));
    queue_import_id(s->queue, partition, slash + 1, m->import_id);
    if (make_plan(m, &m->err) < 0) {
        struct refusal *r = MEM_NEW(struct refusal);
        r->submit = m;
        r->timer.data = r;
        (void)uv_timer_init(s->loop, &r->timer);
        (void)uv_timer_start(&r->timer, refuse, 0, 0);
        return;
    }
    if (json_bool_at(request, "options.rerun")) {
        const char *ref = json_str_at(request, "external_ref");
        store_command(s, "HGET", "refs", 1, &ref, found_ref, m);
        return;
    }
    claim(m);
}

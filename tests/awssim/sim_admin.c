/* /_sim/: what tests and scripted people use to look into worlds and change them. No signature, so
 * loopback only, unless --allow-admin-from-anywhere. */
#include "sim_core.h"

#include <stdlib.h>
#include <string.h>

static json_t *mails;

static void say(struct sim_request *rq, int status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(body);
    if (!text)
        abort();
    rq->status = status;
    rq->reply = text;
    rq->reply_bytes = strlen(text);
    rq->reply_type = "application/json";
}

static void say_error(struct sim_request *rq, int status, const char *text)
{
    say(rq, status, json_pack("{s:s}", "error", text));
}

static bool query_value(const struct sim_raw *raw, const char *name, char *ret, size_t room)
{
    size_t bytes = strlen(name);
    for (const char *at = raw->query; *at;) {
        size_t pair = strcspn(at, "&");
        if (pair > bytes && strncmp(at, name, bytes) == 0 && at[bytes] == '=') {
            (void)snprintf(ret, room, "%.*s", (int)(pair - bytes - 1), at + bytes + 1);
            sim_uri_decode(ret, strlen(ret), true);
            return true;
        }
        at += pair + (at[pair] == '&');
    }
    return false;
}

/* ---- worlds ---- */

static void list_worlds(struct sim_request *rq)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sim_world_count(); i++)
        json_array_append_new(list, sim_world_describe(sim_world_at(i), true));
    say(rq, 200, list);
}

static void make_world(struct sim_request *rq, const json_t *body)
{
    static int made = 100000; /* beyond the indices of --orgs, so names never meet */
    const char *kind = json_string_value(json_object_get(body, "kind"));
    uint64_t seed = (uint64_t)json_integer_value(json_object_get(body, "seed"));
    struct sim_world *w = sim_world_new(kind ? kind : "healthy", seed ? seed : sim_random(), made++);
    if (!w) {
        say_error(rq, 404, "no such kind of world");
        return;
    }
    sim_index_world(w);
    say(rq, 201, sim_world_describe(w, true));
}

static void show_digest(struct sim_request *rq, struct sim_world *w)
{
    char digest[65];
    sim_state_digest(w, digest);
    json_t *sections = json_object();
    const char *name;
    json_t *value;
    json_object_foreach (w->state, name, value) {
        struct sim_before part = sim_before(value);
        if (strcmp(name, "trail_events") != 0)
            json_object_set_new(sections, name, json_string(part.digest));
    }
    say(rq, 200, json_pack("{s:s, s:o}", "digest", digest, "sections", sections));
}

static void act(struct sim_request *rq, struct sim_world *w, const json_t *body)
{
    const char *what = json_string_value(json_object_get(body, "what"));
    if (!what) {
        say_error(rq, 400, "what is missing");
        return;
    }
    const char *why_not = sim_act(w, what, json_object_get(body, "args"));
    sim_index_world(w);
    if (why_not)
        say_error(rq, 409, why_not);
    else
        say(rq, 200, json_pack("{s:b}", "done", 1));
}

static void one_world(struct sim_request *rq, const char *rest, const char *method, const json_t *body)
{
    char account[13];
    (void)snprintf(account, sizeof account, "%.12s", rest);
    struct sim_world *w = sim_world_of_account(account);
    const char *verb = strlen(rest) > 12 ? rest + 12 : "";
    bool post = strcmp(method, "POST") == 0;
    if (!w) {
        say_error(rq, 404, "no world of this account");
    } else if (!post && verb[0] == '\0') {
        json_t *shown = sim_world_describe(w, true);
        json_object_set(shown, "state", w->state);
        say(rq, 200, shown);
    } else if (!post && strcmp(verb, "/digest") == 0) {
        show_digest(rq, w);
    } else if (post && strcmp(verb, "/act") == 0) {
        act(rq, w, body);
    } else if (post && strcmp(verb, "/save") == 0) {
        json_decref(w->saved);
        w->saved = json_deep_copy(w->state);
        say(rq, 200, json_pack("{s:b}", "saved", 1));
    } else if (post && strcmp(verb, "/restore") == 0 && w->saved) {
        json_decref(w->state);
        w->state = json_deep_copy(w->saved);
        sim_index_world(w);
        say(rq, 200, json_pack("{s:b}", "restored", 1));
    } else {
        say_error(rq, strcmp(verb, "/restore") == 0 ? 409 : 404, "nothing there, or nothing saved");
    }
}

/* ---- the rest ---- */

static void mail(struct sim_request *rq, const struct sim_raw *raw, const json_t *body)
{
    if (!mails)
        mails = json_array();
    if (strcmp(raw->method, "POST") == 0) {
        if (!json_is_string(json_object_get(body, "to"))) {
            say_error(rq, 400, "to is missing");
            return;
        }
        json_t *kept = json_deep_copy(body);
        json_object_set_new(kept, "at_ms", json_integer((json_int_t)sim_now_ms()));
        json_array_append_new(mails, kept);
        say(rq, 202, json_pack("{s:b}", "delivered", 1));
        return;
    }
    char to[256] = "";
    query_value(raw, "to", to, sizeof to);
    json_t *found = json_array();
    for (size_t i = 0; i < json_array_size(mails); i++) {
        json_t *one = json_array_get(mails, i);
        if (!to[0] || strcasecmp(json_string_value(json_object_get(one, "to")), to) == 0)
            json_array_append(found, one);
    }
    say(rq, 200, found);
}

static void clock_set(struct sim_request *rq, const json_t *body)
{
    const json_t *skew = json_object_get(body, "skew_ms");
    sim_clock_advance(json_integer_value(json_object_get(body, "advance_ms")));
    if (json_is_integer(skew))
        sim_clock_skew(json_integer_value(skew));
    say(rq, 200, json_pack("{s:I}", "now_ms", (json_int_t)sim_now_ms()));
}

/* How long LookupEvents knows an event, and who asked for what. */
static void trail(struct sim_request *rq, const struct sim_raw *raw, const json_t *body)
{
    char account[32] = "";
    const json_t *retention = json_object_get(body, "retention_ms");
    query_value(raw, "account", account, sizeof account);
    if (json_is_integer(retention) && json_integer_value(retention) >= 0)
        sim_options.trail_retention_ms = (uint64_t)json_integer_value(retention);
    say(rq, 200,
        json_pack("{s:I, s:o}", "retention_ms", (json_int_t)sim_options.trail_retention_ms, "lookups",
                  sim_trail_lookups(account)));
}

static void effects(struct sim_request *rq, const struct sim_raw *raw)
{
    char account[32] = "";
    query_value(raw, "account", account, sizeof account);
    json_t *list = sim_effects_of(account);
    sim_effects_flush();
    say(rq, 200, list ? json_incref(list) : json_array());
}

static void stats(struct sim_request *rq)
{
    uint64_t made = 0, repeated = 0;
    sim_effects_count(&made, &repeated);
    say(rq, 200,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "requests", (json_int_t)sim_counters.requests, "refused",
                  (json_int_t)sim_counters.refused, "effects", (json_int_t)made, "repeats", (json_int_t)repeated,
                  "worlds", (json_int_t)sim_world_count(), "up_ms",
                  (json_int_t)(sim_real_ms() - sim_counters.started_ms), "auth", sim_auth_stats(), "faults",
                  sim_faults_show()));
}

static void faults(struct sim_request *rq, const json_t *body)
{
    const char *why = NULL;
    if (!json_is_object(body) || !sim_faults_set_json(body, &why))
        say_error(rq, 400, why ? why : "an object is needed");
    else
        say(rq, 200, sim_faults_show());
}

static void traps(struct sim_request *rq, const struct sim_raw *raw, const json_t *body)
{
    const char *list = json_string_value(json_object_get(body, "traps"));
    if (strcmp(raw->method, "POST") == 0 && (!list || !sim_traps_set(list)))
        say_error(rq, 400, "traps is all, none, a,b or -a,-b of known names");
    else
        say(rq, 200, sim_traps_list());
}

static void calls(struct sim_request *rq, const struct sim_raw *raw)
{
    char account[64] = "";
    (void)query_value(raw, "account", account, sizeof account);
    say(rq, 200, sim_calls_of(account));
}

void sim_admin(struct sim_request *rq, const struct sim_raw *raw, bool may)
{
    const char *what = raw->path + 6; /* behind "/_sim/" */
    bool post = strcmp(raw->method, "POST") == 0;
    json_t *body = raw->body_bytes ? json_loadb(raw->body, raw->body_bytes, 0, NULL) : NULL;
    if (post && raw->body_bytes && !body)
        say_error(rq, 400, "the body is not JSON");
    else if (strcmp(what, "healthz") == 0)
        say(rq, 200, json_pack("{s:b}", "ok", 1));
    else if (!may)
        say_error(rq, 403, "the admin pages answer loopback only; see --allow-admin-from-anywhere");
    else if (strcmp(what, "worlds") == 0)
        list_worlds(rq);
    else if (strcmp(what, "world") == 0 && post)
        make_world(rq, body);
    else if (strncmp(what, "world/", 6) == 0)
        one_world(rq, what + 6, raw->method, body);
    else if (strcmp(what, "faults") == 0)
        faults(rq, body);
    else if (strcmp(what, "traps") == 0)
        traps(rq, raw, body);
    else if (strcmp(what, "clock") == 0 && post)
        clock_set(rq, body);
    else if (strcmp(what, "trail") == 0)
        trail(rq, raw, body);
    else if (strcmp(what, "mail") == 0)
        mail(rq, raw, body);
    else if (strcmp(what, "effects") == 0)
        effects(rq, raw);
    else if (strcmp(what, "calls") == 0)
        calls(rq, raw);
    else if (strcmp(what, "stats") == 0)
        stats(rq);
    else
        say_error(rq, 404, "healthz worlds world faults traps clock trail mail effects calls stats");
    json_decref(body);
}

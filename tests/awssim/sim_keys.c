/* Whose access keys exist: long-lived ones in the worlds' states, temporary ones of AssumeRole here. */
#include "sim_core.h"

#include <stdlib.h>
#include <string.h>

/* When a long-lived key was last used, beside the state: using a key must not change a world's digest. */
struct last_use {
    uint64_t at_ms;
    char service[48], region[40];
};

static struct sim_map sessions, last_uses;

/* ---- keys ---- */

static bool find_in_account(struct sim_world *w, const char *account, const char *key_id, struct sim_holder *ret)
{
    const json_t *key = json_object_get(json_object_get(sim_account_root(w, account), "access_keys"), key_id);
    if (key) {
        ret->user[0] = '\0';
        ret->key = key;
        return true;
    }
    const char *name;
    json_t *user;
    json_object_foreach (json_object_get(sim_account_iam(w, account), "users"), name, user) {
        key = json_object_get(json_object_get(user, "access_keys"), key_id);
        if (key) {
            (void)snprintf(ret->user, sizeof ret->user, "%s", name);
            ret->key = key;
            return true;
        }
    }
    return false;
}

static bool key_is_usable(const json_t *key)
{
    const char *status = json_string_value(json_object_get(key, "Status"));
    if (status && strcmp(status, "Active") != 0)
        return false;
    json_int_t usable = json_integer_value(json_object_get(key, "usable_ms"));
    return !sim_trap("iam_new_key_not_known") || (uint64_t)usable <= sim_now_ms();
}

bool sim_holder_find(const char *key_id, struct sim_holder *ret)
{
    const struct sim_session *session = sim_map_get(&sessions, key_id);
    if (session) {
        ret->session = session;
        (void)snprintf(ret->account, sizeof ret->account, "%s", session->account);
        ret->world = sim_world_of_account(session->account);
        ret->secret = session->secret;
        return ret->world != NULL;
    }
    if (!sim_account_of_key(key_id, ret->account))
        return false;
    ret->world = sim_world_of_account(ret->account);
    if (!ret->world || !find_in_account(ret->world, ret->account, key_id, ret) || !key_is_usable(ret->key))
        return false;
    ret->secret = json_string_value(json_object_get(ret->key, "secret"));
    return ret->secret != NULL;
}

/* ---- sessions ---- */

static void drop_expired(void)
{
    struct sim_map kept = {0};
    uint64_t now = sim_now_ms();
    for (size_t i = 0; i < sessions.room; i++) {
        struct sim_session *s = sessions.slots[i].value;
        if (!sessions.slots[i].key)
            continue;
        if (s->expires_ms + 3600000 > now) {
            sim_map_put(&kept, sessions.slots[i].key, s); /* expired ones stay an hour, to be called expired */
        } else {
            json_decref(s->policy);
            free(s);
        }
    }
    sim_map_clear(&sessions, NULL);
    sessions = kept;
}

struct sim_session *sim_session_new(const char *account, const char *role, const char *name, uint64_t life_ms,
                                    json_t *policy)
{
    if (sessions.used >= 20000 && (sessions.used & (sessions.used - 1)) == 0)
        drop_expired();
    struct sim_session *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    sim_key_id("ASIA", account, s->key_id);
    sim_secret_key(s->secret);
    for (int i = 0; i < 200; i += 40) {
        char part[41];
        sim_secret_key(part);
        memcpy(s->token + i, part, 41);
    }
    (void)snprintf(s->account, sizeof s->account, "%s", account);
    (void)snprintf(s->role, sizeof s->role, "%s", role);
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    s->expires_ms = sim_now_ms() + life_ms;
    s->policy = policy;
    sim_map_put(&sessions, s->key_id, s);
    return s;
}

const struct sim_session *sim_session_of(const char *key_id)
{
    return sim_map_get(&sessions, key_id);
}

size_t sim_session_count(void)
{
    return sessions.used;
}

/* ---- last use ---- */

void sim_holder_note_use(const char *key_id, const char *service, const char *region)
{
    struct last_use *use = sim_map_get(&last_uses, key_id);
    if (!use) {
        use = calloc(1, sizeof *use);
        if (!use)
            abort();
        sim_map_put(&last_uses, key_id, use);
    }
    use->at_ms = sim_now_ms();
    (void)snprintf(use->service, sizeof use->service, "%s", service);
    (void)snprintf(use->region, sizeof use->region, "%s", region);
}

json_t *sim_key_last_used(const char *key_id)
{
    const struct last_use *use = sim_map_get(&last_uses, key_id);
    char at[32];
    if (!use)
        return NULL;
    sim_rfc3339(use->at_ms, at);
    return json_pack("{s:s, s:s, s:s}", "LastUsedDate", at, "ServiceName", use->service, "Region", use->region);
}

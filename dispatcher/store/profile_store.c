/* Profiles in Redis: the newest of each name, and every version that an import may have been planned with. */
#include "common/base/mem.h"
#include "dispatcher/store/store.h"

#include <stdio.h>

static const char put_lua[] =
    "local cur = redis.call('HGET', KEYS[1], ARGV[1])\n"
    "if cur then\n"
    "  local c = cjson.decode(cur)\n"
    "  local digest = redis.call('HGET', KEYS[1], ARGV[1] .. '#digest')\n"
    "  if digest == ARGV[4] then return {'same'} end\n"
    "  if tonumber(c.version) >= tonumber(ARGV[2]) then return {'older', tostring(c.version)} end\n"
    "end\n"
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[3], ARGV[1] .. '@' .. ARGV[2], ARGV[3], ARGV[1] .. '#digest', ARGV[4])\n"
    "return {'put'}\n";

struct put {
    store_done_fn *done;
    void *arg;
    char name[64];
};

static void put_done(void *arg, const struct err *err, const redisReply *reply)
{
    struct put *p = arg;
    struct err mine = {0};
    if (!err && str_eq(store_text(store_element(reply, 0)), "older")) {
        (void)err_set(&mine, ERR_STATE_CONFLICT, "version %s of the profile %s is stored already: raise the version",
                      store_text(store_element(reply, 1)), p->name);
        err = &mine;
    }
    p->done(p->arg, err);
    mem_free(p);
}

void store_profile_put(struct store *s, const struct profile *profile, store_done_fn *done, void *arg)
{
    struct put *p = MEM_NEW(struct put);
    p->done = done;
    p->arg = arg;
    (void)snprintf(p->name, sizeof p->name, "%s", profile_name(profile));
    char version[24];
    (void)snprintf(version, sizeof version, "%lld", (long long)profile_version(profile));
    AUTO_FREE char *text = json_text(profile_json(profile));
    store_eval(s,
               &(struct store_call){put_lua, (const char *[]){"profiles"}, 1,
                                    (const char *[]){p->name, version, text, profile_digest(profile)}, 4},
               put_done, p);
}

struct get {
    struct store *store;
    store_json_fn *done;
    void *arg;
};

static void got(void *arg, const struct err *err, const redisReply *reply)
{
    struct get *g = arg;
    struct err mine = {0};
    json_t *value = NULL;
    if (!err && (!reply || reply->type != REDIS_REPLY_STRING))
        (void)err_set(&mine, ERR_NOT_FOUND, "there is no such profile");
    else if (!err)
        value = json_read(reply->str, reply->len, 0, &mine);
    g->done(g->arg, err ? err : mine.code ? &mine : NULL, value);
    json_decref(value);
    mem_free(g);
}

void store_profile_get(struct store *s, const char *name_or_version, store_json_fn *done, void *arg)
{
    struct get *g = MEM_NEW(struct get);
    *g = (struct get){s, done, arg};
    store_command(s, "HGET", "profiles", 1, &name_or_version, got, g);
}

struct refresh {
    struct store *store;
    store_done_fn *done;
    void *arg;
};

static void refreshed(void *arg, const struct err *err, json_t *value)
{
    struct refresh *r = arg;
    struct profile *mine = r->store->profile;
    struct err why = {0};
    if (!err && (!mine || json_int_at(value, "version") > profile_version(mine))) {
        AUTO_FAULTS struct faults faults;
        faults_init(&faults);
        struct profile *fresh = NULL;
        if (profile_from_json(value, &fresh, &faults, &why) < 0) {
            err = &why; /* a newer program wrote it: go on with ours */
        } else {
            r->store->profile = fresh;
            profile_unref(mine);
        }
    }
    r->done(r->arg, err);
    mem_free(r);
}

void store_profile_refresh(struct store *s, store_done_fn *done, void *arg)
{
    struct refresh *r = MEM_NEW(struct refresh);
    *r = (struct refresh){s, done, arg};
    store_profile_get(s, profile_name(s->profile), refreshed, r);
}

#include "dispatcher/api/drift_keep.h"

#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/queue/queue_retire.h"
#include "dispatcher/api/drift_run.h"

#include <stdio.h>

#define AT_ONCE "8" /* more than one: what was there before the rule was dwindles */
#define DAY_MS 86400000u

/* KEYS looks, found.  ARGV import, how many of the newest stay, time, limit. Gives the newest that found something and
 * its time, then (look, time) pairs of the oldest that neither rule keeps. */
static const char candidates_lua[] =
    "local over = redis.call('ZCARD', KEYS[1]) - ARGV[2]\n"
    "local found = redis.call('HGET', KEYS[2], ARGV[1]) or ''\n"
    "local out = { found, redis.call('ZSCORE', KEYS[1], found) or '0' }\n"
    "if over <= 0 then return out end\n"
    "local old = redis.call('ZRANGE', KEYS[1], 0, math.min(over, ARGV[4] + 1) - 1, 'WITHSCORES')\n"
    "for i = 1, #old, 2 do\n"
    "  if tonumber(old[i + 1]) < tonumber(ARGV[3]) and old[i] ~= found then\n"
    "    out[#out + 1] = old[i]\n"
    "    out[#out + 1] = old[i + 1]\n"
    "  end\n"
    "end\n"
    "return out\n";

struct sweep {
    struct api *api;
    char import_id[IMPORT_ID_BYTES], set[IMPORT_ID_BYTES + 8];
    json_t *looks; /* [[id, time]] that are still to be looked at, oldest first */
    double found_at;
};

static void next_look(struct sweep *s);

static void sweep_end(struct sweep *s, const struct err *err)
{
    if (err)
        log_error(LOG_WARN, "drift.not_retired", err, "import", s->import_id, NULL);
    s->api->store->busy--;
    json_decref(s->looks);
    mem_free(s);
}

static const char *look_id(const struct sweep *s)
{
    return json_string_value(json_array_get(json_array_get(s->looks, 0), 0));
}

static void look_over(struct sweep *s)
{
    (void)json_array_remove(s->looks, 0);
    next_look(s);
}

static void unnamed(void *arg, const struct err *err, const redisReply *reply)
{
    struct sweep *s = arg;
    (void)reply;
    if (err)
        sweep_end(s, err); /* a name without a run is skipped by readers, and goes with the next sweep */
    else
        look_over(s);
}

static void retired(void *arg, const struct err *err)
{
    struct sweep *s = arg;
    if (err && err->code == ERR_STATE_CONFLICT) {
        look_over(s); /* one that got stuck and never ended */
        return;
    }
    if (err) {
        sweep_end(s, err);
        return;
    }
    log_event(LOG_INFO, "drift.retired", "import", s->import_id, "run", look_id(s), NULL);
    store_command(s->api->store, "ZREM", s->set, 1, (const char *[]){look_id(s)}, unnamed, s);
}

/* Oldest first: of two that found something the older one is not kept any more. */
static void look_read(void *arg, const struct err *err, const json_t *value)
{
    struct sweep *s = arg;
    double at = json_number_value(json_array_get(json_array_get(s->looks, 0), 1));
    if (err && err->code != ERR_NOT_FOUND) {
        sweep_end(s, err);
    } else if (!err && drift_found(value) > 0 && at > s->found_at) {
        drift_keep_found(s->api, s->import_id, look_id(s));
        s->found_at = at;
        look_over(s);
    } else {
        queue_retire(s->api->store->queue, look_id(s), retired, s);
    }
}

static void next_look(struct sweep *s)
{
    if (json_array_size(s->looks))
        import_fetch(s->api, look_id(s), true, look_read, s);
    else
        sweep_end(s, NULL);
}

static void listed(void *arg, const struct err *err, const redisReply *reply)
{
    struct sweep *s = arg;
    if (err) {
        sweep_end(s, err);
        return;
    }
    s->found_at = strtod(store_text(store_element(reply, 1)), NULL);
    for (size_t i = 2; i + 1 < reply->elements; i += 2)
        (void)json_array_append_new(s->looks, json_make("[s,f]", store_text(store_element(reply, i)),
                                                        strtod(store_text(store_element(reply, i + 1)), NULL)));
    next_look(s);
}

static int64_t setting(const struct api *api, const char *path, int64_t otherwise)
{
    const json_t *value = json_at(profile_json(api->store->profile), path);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

void drift_keep_sweep(struct api *api, const char *import_id)
{
    struct sweep *s = MEM_NEW(struct sweep);
    char last[24], before[24];
    int64_t days = setting(api, "drift.keep_days", DRIFT_KEEP_DAYS);
    *s = (struct sweep){.api = api, .looks = json_array()};
    (void)snprintf(s->import_id, sizeof s->import_id, "%s", import_id);
    (void)snprintf(s->set, sizeof s->set, "drift:%s", import_id);
    (void)snprintf(last, sizeof last, "%lld", (long long)setting(api, "drift.keep_last", DRIFT_KEEP_LAST));
    (void)snprintf(before, sizeof before, "%lld", (long long)env_unix_ms(api->store->env) - days * DAY_MS);
    api->store->busy++;
    store_eval(api->store,
               &(struct store_call){candidates_lua, (const char *[]){s->set, "drift:found"}, 2,
                                    (const char *[]){s->import_id, last, before, AT_ONCE}, 4},
               listed, s);
}

static void noted(void *arg, const struct err *err, const redisReply *reply)
{
    struct api *api = arg;
    (void)reply;
    if (err)
        log_error(LOG_WARN, "drift.not_noted", err, NULL);
    api->store->busy--;
}

void drift_keep_found(struct api *api, const char *import_id, const char *run_id)
{
    api->store->busy++;
    store_command(api->store, "HSET", "drift:found", 2, (const char *[]){import_id, run_id}, noted, api);
}

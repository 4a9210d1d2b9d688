/* State shared by all services: paths into worlds, clocks, seeded randomness, ids, lookups by account, bucket and key,
 * traps. */
#include "sim_core.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_advanced_ms, clock_skewed_ms;
static uint64_t random_state = 0x9e3779b97f4a7c15u;
static struct sim_map by_account, by_bucket;

static json_t *step_into(json_t *at, const char *name)
{
    if (json_is_array(at)) {
        char *end = NULL;
        unsigned long i = strtoul(name, &end, 10);
        return end != name && *end == '\0' ? json_array_get(at, i) : NULL;
    }
    return json_object_get(at, name);
}

static json_t *walk(json_t *at, const char *path)
{
    while (at && *path) {
        char name[160];
        size_t bytes = strcspn(path, ".");
        if (bytes >= sizeof name)
            return NULL;
        memcpy(name, path, bytes);
        name[bytes] = '\0';
        at = step_into(at, name);
        path += bytes + (path[bytes] == '.');
    }
    return at;
}

json_t *sim_at(struct sim_world *w, const char *path)
{
    return walk(w->state, path);
}

json_t *sim_section(struct sim_world *w, const char *name)
{
    json_t *section = json_object_get(w->state, name);
    if (!json_is_object(section)) {
        section = json_object();
        json_object_set_new(w->state, name, section);
    }
    return section;
}

const char *sim_param(const struct sim_request *rq, const char *path)
{
    const json_t *value = walk(rq->params, path);
    return json_is_string(value) ? json_string_value(value) : "";
}

/* ---- clocks ---- */

uint64_t sim_real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t sim_now_ms(void)
{
    return (uint64_t)((int64_t)sim_real_ms() + clock_advanced_ms);
}

uint64_t sim_server_ms(void)
{
    return (uint64_t)((int64_t)sim_real_ms() + clock_skewed_ms);
}

void sim_clock_advance(int64_t ms)
{
    clock_advanced_ms += ms;
}

void sim_clock_skew(int64_t ms)
{
    clock_skewed_ms = ms;
}

void sim_rfc3339(uint64_t ms, char ret[32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    (void)strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* ---- randomness and ids ---- */

void sim_random_seed(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;
}

uint64_t sim_random(void)
{
    random_state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t plain_random(void)
{
    /* Request ids must not eat from the seeded stream: their number depends on timing, worlds must not. */
    static uint64_t counter;
    uint64_t z = ++counter * 0xd1342543de82ef95u + sim_real_ms();
    z = (z ^ (z >> 32)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 29);
}

void sim_request_id(char ret[40])
{
    uint64_t a = plain_random(), b = plain_random();
    (void)snprintf(ret, 40, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff,
                   (unsigned)a & 0xfff, (unsigned)(b >> 48) & 0xfff, (unsigned long long)(b & 0xffffffffffffu));
}

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void sim_key_id(const char *prefix, const char *account, char ret[21])
{
    uint64_t number = strtoull(account, NULL, 10);
    (void)snprintf(ret, 5, "%s", prefix);
    for (int i = 0; i < 8; i++)
        ret[4 + i] = base32[(number >> (35 - 5 * i)) & 31];
    uint64_t random = sim_random();
    for (int i = 0; i < 8; i++)
        ret[12 + i] = base32[(random >> (5 * i)) & 31];
    ret[20] = '\0';
}

void sim_secret_key(char ret[41])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 40; i += 8) {
        uint64_t random = sim_random();
        for (int k = 0; k < 8; k++)
            ret[i + k] = letters[(random >> (6 * k)) & 63];
    }
    ret[40] = '\0';
}

bool sim_account_of_key(const char *key_id, char ret[13])
{
    if (strlen(key_id) != 20)
        return false;
    uint64_t number = 0;
    for (int i = 4; i < 12; i++) {
        const char *digit = strchr(base32, key_id[i]);
        if (!digit || key_id[i] == '\0')
            return false;
        number = number << 5 | (uint64_t)(digit - base32);
    }
    if (number > 999999999999u)
        return false;
    (void)snprintf(ret, 13, "%012llu", (unsigned long long)number);
    return true;
}

/* ---- lookups ---- */

void sim_index_world(struct sim_world *w)
{
    sim_map_put(&by_account, w->account, w);
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(w->state, "accounts"), name, value)
        sim_map_put(&by_account, name, w);
    json_object_foreach (json_object_get(w->state, "members"), name, value)
        sim_map_put(&by_account, name, w);
    json_object_foreach (json_object_get(json_object_get(w->state, "s3"), "buckets"), name, value)
        sim_map_put(&by_bucket, name, w);
}

struct sim_world *sim_world_of_account(const char *account)
{
    struct sim_world *w = sim_map_get(&by_account, account);
    return w ? w : sim_world_by_account(account);
}

struct sim_world *sim_world_of_bucket(const char *bucket)
{
    struct sim_world *w = sim_map_get(&by_bucket, bucket);
    if (!w)
        return NULL;
    /* The index only ever grows: a bucket that was deleted or restored away is no longer in its world. */
    return json_object_get(json_object_get(json_object_get(w->state, "s3"), "buckets"), bucket) ? w : NULL;
}

static json_t *part_of_account(struct sim_world *w, const char *account, const char *part)
{
    if (strcmp(account, w->account) == 0)
        return sim_section(w, part);
    json_t *members = sim_section(w, "members");
    json_t *member = json_object_get(members, account);
    if (!member) {
        member = json_object();
        json_object_set_new(members, account, member);
    }
    json_t *found = json_object_get(member, part);
    if (!found) {
        found = json_object();
        json_object_set_new(member, part, found);
    }
    return found;
}

json_t *sim_account_iam(struct sim_world *w, const char *account)
{
    return part_of_account(w, account, "iam");
}

json_t *sim_account_root(struct sim_world *w, const char *account)
{
    return part_of_account(w, account, "root");
}

void sim_state_digest(struct sim_world *w, char ret[65])
{
    json_t *shown = json_copy(w->state);
    json_object_del(shown, "trail_events");
    char *text = json_dumps(shown, JSON_COMPACT | JSON_SORT_KEYS);
    sim_sha256_hex(text ? text : "", text ? strlen(text) : 0, ret);
    free(text);
    json_decref(shown);
}

/* ---- traps ---- */

static struct trap {
    const char *name, *what;
    bool on;
} traps[] = {
#define TRAP(name, what) {#name, what, true},
#include "traps.def"
#undef TRAP
};
static const size_t trap_count = sizeof traps / sizeof traps[0];

bool sim_trap(const char *name)
{
    for (size_t i = 0; i < trap_count; i++)
        if (strcmp(traps[i].name, name) == 0)
            return traps[i].on;
    (void)fprintf(stderr, "awssim: no trap is called %s; add it to traps.def\n", name);
    abort();
}

static bool trap_switch(const char *name, size_t bytes, bool on)
{
    for (size_t i = 0; i < trap_count; i++)
        if (strlen(traps[i].name) == bytes && memcmp(traps[i].name, name, bytes) == 0) {
            traps[i].on = on;
            return true;
        }
    (void)fprintf(stderr, "awssim: no trap is called %.*s\n", (int)bytes, name);
    return false;
}

/* "all", "none", "a,b" (only these), "-a,-b" (all but these). */
bool sim_traps_set(const char *list)
{
    bool all = strcmp(list, "all") == 0 || list[0] == '-';
    for (size_t i = 0; i < trap_count; i++)
        traps[i].on = all;
    if (strcmp(list, "all") == 0 || strcmp(list, "none") == 0)
        return true;
    bool ok = true;
    for (const char *at = list; *at;) {
        size_t bytes = strcspn(at, ",");
        bool off = *at == '-';
        if (bytes > 0)
            ok = trap_switch(at + off, bytes - off, !off) && ok;
        at += bytes + (at[bytes] == ',');
    }
    return ok;
}

json_t *sim_traps_list(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < trap_count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b}", "name", traps[i].name, "what", traps[i].what, "on", (int)traps[i].on));
    return list;
}

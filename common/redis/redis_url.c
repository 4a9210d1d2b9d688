/* The address of Redis: one server, Sentinels with a master's name, or nodes of a cluster.
 *
 *   redis://user:password@host:port/db            unix:///path?db=0
 *   redis+sentinel://host:port,host:port/NAME/db  redis+cluster://host:port,host:port      rediss...: with TLS */
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/base/str.h"
#include "common/codec/uri.h"
#include "common/redis/redis_target.h"

#include <string.h>

#define REDIS_PORT 6379
#define SENTINEL_PORT 26379

static int read_db(const char *text, struct redis_target *t, struct err *err)
{
    uint64_t db = 0;
    if (*text && !str_to_u64(text, 1023, &db))
        return err_set(err, ERR_CONFIG, "the database in the Redis address is not a small number");
    t->db = (uint32_t)db;
    return 0;
}

static const char *part_name(enum redis_kind kind)
{
    return kind == REDIS_SENTINEL ? "Sentinel" : kind == REDIS_CLUSTER ? "cluster node" : "host";
}

/* One of the list, read as a URL of its own: brackets, port and lengths are checked in one place. */
static int read_seed(struct redis_target *t, const char *text, size_t len, struct err *err)
{
    AUTO_FREE char *url = mem_printf("redis://%.*s", (int)len, text);
    struct uri u;
    if (t->seed_count == REDIS_SEEDS_MAX)
        return err_set(err, ERR_CONFIG, "Redis address: more than %d hosts", REDIS_SEEDS_MAX);
    if (uri_parse(url, &u, err))
        return err_wrap(err, "Redis address: %s %zu", part_name(t->kind), t->seed_count + 1);
    if (!*u.host && t->kind != REDIS_SINGLE)
        return err_set(err, ERR_CONFIG, "Redis address: %s %zu has no host", part_name(t->kind), t->seed_count + 1);
    struct redis_address *a = &t->seeds[t->seed_count++];
    (void)snprintf(a->host, sizeof a->host, "%s", *u.host ? u.host : "127.0.0.1");
    a->port = u.port ? u.port : t->kind == REDIS_SENTINEL ? SENTINEL_PORT : REDIS_PORT;
    return 0;
}

static int read_seeds(struct redis_target *t, const char *list, size_t len, struct err *err)
{
    for (const char *at = list, *end = list + len;; at++) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
        if (read_seed(t, at, (size_t)(stop - at), err))
            return -1;
        if (!comma)
            return 0;
        at = comma;
    }
}

/* "/NAME" or "/NAME/db". */
static int read_master(struct redis_target *t, const char *path, struct err *err)
{
    const char *name = *path ? path + 1 : path;
    size_t len = strcspn(name, "/");
    t->master = uri_decode(name, len, false, NULL);
    if (!t->master || !*t->master)
        return err_set(err, ERR_CONFIG, "a Sentinel address needs the name of the master: redis+sentinel://host/NAME");
    return read_db(name[len] ? name + len + 1 : "", t, err);
}

static int read_path(struct redis_target *t, const struct uri *u, struct err *err)
{
    if (t->kind == REDIS_SENTINEL)
        return read_master(t, u->path, err);
    if (t->kind == REDIS_CLUSTER && u->path[0] && u->path[1])
        return err_set(err, ERR_CONFIG, "a Redis Cluster has no databases: leave out what stands after the hosts");
    return t->kind == REDIS_CLUSTER ? 0 : read_db(*u->path ? u->path + 1 : "", t, err);
}

static int read_scheme(struct redis_target *t, const char *scheme, bool *ret_tls, struct err *err)
{
    const char *rest = str_starts(scheme, "rediss") ? scheme + 6 : str_starts(scheme, "redis") ? scheme + 5 : NULL;
    *ret_tls = rest == scheme + 6;
    if (rest && !*rest)
        t->kind = REDIS_SINGLE;
    else if (str_eq(rest, "+sentinel"))
        t->kind = REDIS_SENTINEL;
    else if (str_eq(rest, "+cluster"))
        t->kind = REDIS_CLUSTER;
    else
        return err_set(err, ERR_CONFIG,
                       "Redis addresses begin with redis://, rediss://, unix://, redis+sentinel:// or "
                       "redis+cluster://, not %s://",
                       scheme);
    return 0;
}

/* What stands around the hosts, read with the list taken out: its commas are no part of a URL. */
static int read_frame(const char *url, struct uri *ret, const char **ret_list, size_t *ret_len, struct err *err)
{
    const char *sep = strstr(url, "://");
    const char *authority = sep ? sep + 3 : url;
    size_t len = strcspn(authority, "/?#");
    const char *list = authority;
    for (size_t i = 0; i < len; i++)
        if (authority[i] == '@')
            list = authority + i + 1;
    *ret_list = list;
    *ret_len = (size_t)(authority + len - list);
    AUTO_FREE char *frame = mem_printf("%.*sh%s", (int)(list - url), url, authority + len);
    int rc = uri_parse(frame, ret, err);
    secret_wipe(frame, strlen(frame));
    return rc ? err_wrap(err, "Redis address") : 0;
}

int redis_url_read(struct redis_target *t, const char *url, bool *ret_tls, struct err *err)
{
    struct uri u;
    const char *list;
    size_t len;
    *ret_tls = false;
    if (read_frame(url, &u, &list, &len, err))
        return -1;
    t->user = mem_dup(u.user);
    t->password = mem_dup(u.password);
    secret_wipe(u.password, sizeof u.password);
    if (str_eq(u.scheme, "unix") || str_eq(u.scheme, "redis+unix")) {
        t->path = uri_decode(u.path, strlen(u.path), false, NULL);
        if (!t->path || !*t->path)
            return err_set(err, ERR_CONFIG, "a unix:// Redis address needs a path");
        return read_db(str_starts(u.query, "db=") ? u.query + 3 : "", t, err);
    }
    if (read_scheme(t, u.scheme, ret_tls, err))
        return -1;
    if (t->kind == REDIS_SINGLE && memchr(list, ',', len))
        return err_set(err, ERR_CONFIG, "Redis address: several hosts need redis+sentinel:// or redis+cluster://");
    if (read_seeds(t, list, len, err))
        return -1;
    return read_path(t, &u, err);
}

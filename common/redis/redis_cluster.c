/* The map of a cluster: which primary has which slots, one link to each, and where MOVED and ASK send a command. */
#include "common/redis/redis_cluster.h"

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/redis/redis_private.h"

#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------------------------------
 */
bool cluster_range(const redisReply *map, size_t *at, const struct redis_address *asked, struct cluster_range *ret)
{
    for (; map->type == REDIS_REPLY_ARRAY && *at < map->elements;) {
        const redisReply *row = map->element[(*at)++];
        if (row->type != REDIS_REPLY_ARRAY || row->elements < 3 || row->element[0]->type != REDIS_REPLY_INTEGER ||
            row->element[1]->type != REDIS_REPLY_INTEGER || row->element[2]->type != REDIS_REPLY_ARRAY ||
            row->element[2]->elements < 2 || row->element[2]->element[1]->type != REDIS_REPLY_INTEGER)
            continue;
        const redisReply *host = row->element[2]->element[0], *port = row->element[2]->element[1];
        long long first = row->element[0]->integer, last = row->element[1]->integer;
        if (first < 0 || last < first || last >= REDIS_SLOTS || port->integer < 1 || port->integer > 65535)
            continue;
        bool is_named = host->type == REDIS_REPLY_STRING && host->len && host->len < sizeof ret->at.host;
        ret->first = (uint32_t)first;
        ret->last = (uint32_t)last;
        (void)snprintf(ret->at.host, sizeof ret->at.host, "%s", is_named ? host->str : asked->host);
        ret->at.port = (int)port->integer;
        return true;
    }
    return false;
}

bool cluster_moved(const char *error, const struct redis_address *from, struct cluster_move *ret)
{
    ret->is_ask = str_starts(error, "ASK ");
    if (!ret->is_ask && !str_starts(error, "MOVED "))
        return false;
    const char *slot = strchr(error, ' ') + 1, *address = strchr(slot, ' ');
    char digits[8] = "";
    uint64_t n;
    if (!address || address - slot >= (ptrdiff_t)sizeof digits)
        return false;
    memcpy(digits, slot, (size_t)(address - slot));
    address++;
    if (!str_to_u64(digits, REDIS_SLOTS - 1, &n) || !redis_address_read(address, strcspn(address, " "), &ret->at))
        return false;
    ret->slot = (uint16_t)n;
    if (!*ret->at.host)
        (void)snprintf(ret->at.host, sizeof ret->at.host, "%s", from->host);
    return true;
}

/* ---- Links --------------------------------------------------------------------------------------------------------
 */
static struct link *node_at(struct redis *r, const struct redis_address *at)
{
    for (struct link *l = r->nodes; l; l = l->next)
        if (redis_address_eq(&l->at, at))
            return l;
    struct link *l = MEM_NEW(struct link);
    link_init(l, r, LINK_NODE);
    l->at = *at;
    l->next = r->nodes;
    r->nodes = l;
    return l;
}

/* A node without slots may still owe answers, or take what ASK sends it; one that is lost or silent goes. */
static bool is_of_use(const struct link *l)
{
    return l->is_known || (l->state == LINK_UP && l->silent_ticks < SILENT_TICKS_ASK);
}

/* Those that no map names any more. Out of every list first: dropping one answers its callers, who send again. */
static void remove_unknown(struct redis *r)
{
    struct link *gone = NULL;
    for (struct link **at = &r->nodes; *at;) {
        struct link *l = *at;
        if (is_of_use(l)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        l->next = gone;
        gone = l;
        for (struct pending *p = r->first; p; p = p->next)
            if (p->asked == l)
                p->asked = NULL;
        for (size_t i = 0; i < REDIS_SLOTS; i++)
            if (r->slots[i] == l)
                r->slots[i] = NULL;
    }
    while (gone) {
        struct link *l = gone;
        gone = l->next;
        link_drop(l);
        uv_close((uv_handle_t *)&l->timer, link_closed);
    }
}

bool cluster_take_map(struct redis *r, const redisReply *map)
{
    struct cluster_range range;
    size_t at = 0, count = 0;
    for (struct link *l = r->nodes; l; l = l->next)
        l->is_known = false;
    while (cluster_range(map, &at, &r->scout.at, &range)) {
        struct link *l = node_at(r, &range.at);
        l->is_known = true;
        for (uint32_t s = range.first; s <= range.last; s++)
            r->slots[s] = l;
        count++;
    }
    for (struct link *l = r->nodes; !count && l; l = l->next)
        l->is_known = true; /* an empty map says nothing */
    if (count)
        remove_unknown(r);
    return count != 0;
}

struct link *cluster_any(const struct redis *r, size_t turn)
{
    size_t n = 0;
    for (const struct link *l = r->nodes; l; l = l->next)
        n++;
    struct link *l = r->nodes;
    for (size_t i = n ? turn % n : 0; i && l; i--)
        l = l->next;
    return l;
}

struct link *cluster_link(struct redis *r, unsigned route)
{
    if (route != REDIS_ANY) {
        struct link *l = r->slots[(route - 1) % REDIS_SLOTS];
        if (!l)
            scout_ask(r);
        return l;
    }
    for (struct link *l = r->nodes; l; l = l->next)
        if (l->state == LINK_UP)
            return l;
    return cluster_any(r, 0);
}

size_t redis_primaries(const struct redis *r, unsigned *ret, size_t max)
{
    size_t count = 0;
    if (r->target.kind != REDIS_CLUSTER && max) {
        ret[0] = REDIS_ANY;
        return 1;
    }
    for (const struct link *l = r->nodes; l && count < max; l = l->next)
        for (unsigned s = 0; s < REDIS_SLOTS; s++)
            if (r->slots[s] == l) {
                ret[count++] = 1 + s;
                break;
            }
    return count;
}

bool cluster_redirect(struct redis *r, const struct link *from, struct pending *p, const redisReply *error)
{
    struct cluster_move move;
    const struct redis_address *asked = from ? &from->at : &r->target.seeds[0];
    if (p->redirects == REDIRECTS_MAX || !cluster_moved(error->str, asked, &move))
        return false;
    struct link *l = node_at(r, &move.at);
    p->redirects++;
    l->is_known = true;
    if (!move.is_ask) {
        r->slots[move.slot] = l;
        p->route = 1u + move.slot; /* who did not say where to is sent straight from now on */
        scout_ask(r);
    }
    if (p->is_once)
        return false;
    p->asked = move.is_ask ? l : NULL;
    pending_send(p);
    return true;
}

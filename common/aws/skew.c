/* Clock offsets from the Date header against the middle of the exchange. */
#include "common/aws/skew.h"

#include "common/codec/when.h"
#include "common/http/http_client.h"

#define EXCHANGE_MS_MAX 900000U
#define IDLE_MS 86400000U

struct skew {
    struct keyed keyed;
    int64_t ms;
    uint64_t learned_ms;
};

static bool is_idle(const struct keyed *record, uint64_t now_ms)
{
    const struct skew *s = (const struct skew *)(const void *)record;
    return s->learned_ms + IDLE_MS < now_ms;
}

void skews_init(struct keyed_map *map)
{
    keyed_init(map, sizeof(struct skew), is_idle);
}

int64_t skew_of(const struct keyed_map *map, const char *host)
{
    const struct skew *s = (const struct skew *)(const void *)keyed_find(map, host);
    return s ? s->ms : 0;
}

void skew_learn(struct keyed_map *map, const char *host, const struct http_response *r, uint64_t now_ms)
{
    char text[64];
    uint64_t server = 0;
    if (http_response_header(r, "age", text, sizeof text) || !http_response_header(r, "date", text, sizeof text) ||
        !when_parse_http(text, &server))
        return;
    if (!r->sent_unix_ms || r->received_unix_ms < r->sent_unix_ms ||
        r->received_unix_ms - r->sent_unix_ms > EXCHANGE_MS_MAX)
        return;
    uint64_t middle = r->sent_unix_ms + (r->received_unix_ms - r->sent_unix_ms) / 2;
    struct skew *s = (struct skew *)(void *)keyed_get(map, host, now_ms, NULL);
    s->ms = (int64_t)server - (int64_t)middle;
    /* Date has whole seconds: what is below two is our own rounding. */
    if (s->ms > -2000 && s->ms < 2000)
        s->ms = 0;
    s->learned_ms = now_ms;
}

/* AWS's clock from the Date header, against the boot clock at both ends of the exchange. */
#include "common/aws/skew.h"

#include "common/codec/when.h"
#include "common/http/http_client.h"

#define EXCHANGE_MS_MAX 900000U
#define IDLE_MS 86400000U

struct skew {
    struct keyed keyed;
    struct far_clock clock;
    uint64_t learned_ms;
};

static bool is_idle(const struct keyed *record, uint64_t now_ms)
{
    const struct skew *s = (const struct skew *)(const void *)record;
    return s->learned_ms + IDLE_MS < now_ms;
}

void skews_init(struct skews *skews)
{
    keyed_init(&skews->hosts, sizeof(struct skew), is_idle);
    skews->any = (struct far_clock){0};
}

void skews_done(struct skews *skews)
{
    keyed_done(&skews->hosts);
}

int64_t skew_of(const struct skews *skews, const char *host, const struct env *env)
{
    const struct keyed *known = host ? keyed_find(&skews->hosts, host) : NULL;
    if (known)
        return ((const struct skew *)(const void *)known)->clock.offset_ms;
    if (skews->any.is_known)
        return skews->any.offset_ms;
    return (int64_t)env_unix_ms(env) - (int64_t)env_boot_ms(env);
}

void skew_learn(struct skews *skews, const char *host, const struct http_response *r, const struct env *env)
{
    char text[64];
    uint64_t date = 0;
    if (http_response_header(r, "age", text, sizeof text) || !http_response_header(r, "date", text, sizeof text) ||
        !when_parse_http(text, &date))
        return;
    if (!r->sent_boot_ms || r->received_boot_ms < r->sent_boot_ms ||
        r->received_boot_ms - r->sent_boot_ms > EXCHANGE_MS_MAX)
        return;
    uint64_t now_ms = env_boot_ms(env);
    struct skew *s = (struct skew *)(void *)keyed_get(&skews->hosts, host, now_ms, NULL);
    far_clock_learn(&s->clock, r->sent_boot_ms, r->received_boot_ms, date, date + 999);
    far_clock_learn(&skews->any, r->sent_boot_ms, r->received_boot_ms, date, date + 999);
    s->learned_ms = now_ms;
}

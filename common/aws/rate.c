/* Rate buckets. Integer microseconds, so that a long life adds up no error. */
#include "common/aws/rate.h"

#include "common/base/mem.h"
#include "common/base/str.h"

#include <stdio.h>

enum { DOCUMENTED, CHOSEN };

static const struct {
    const char *family;
    uint32_t per_second;
    uint32_t burst;
    int origin;
} table[] = {
#define IN_FLIGHT(service, n)
#define RATE(family, per_second, burst, origin) {family, per_second, burst, origin},
#include "common/aws/rate.def"
#undef RATE
#undef IN_FLIGHT
};

static const struct {
    const char *service;
    uint32_t max;
} in_flight[] = {
#define IN_FLIGHT(service, n) {service, n},
#define RATE(family, per_second, burst, origin)
#include "common/aws/rate.def"
#undef RATE
#undef IN_FLIGHT
};

uint32_t rate_in_flight_max(const char *family)
{
    size_t dot = strcspn(family, ".");
    for (size_t i = 0; i < ARRAY_LEN(in_flight); i++)
        if (strlen(in_flight[i].service) == dot && strncmp(in_flight[i].service, family, dot) == 0)
            return in_flight[i].max;
    return 0;
}

static size_t line_of(const char *family)
{
    size_t service = ARRAY_LEN(table), other = 0, dot = strcspn(family, ".");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (str_eq(table[i].family, family))
            return i;
        if (strlen(table[i].family) == dot && strncmp(table[i].family, family, dot) == 0)
            service = i;
        if (str_eq(table[i].family, "*"))
            other = i;
    }
    return service < ARRAY_LEN(table) ? service : other;
}

bool rate_is_known(const char *family)
{
    return !str_eq(table[line_of(family)].family, "*");
}

struct rate_limits rate_limits_of(const char *family, uint32_t scale_pct)
{
    size_t i = line_of(family);
    uint64_t half = table[i].origin == DOCUMENTED ? 2 : 1;
    uint64_t pct = scale_pct ? scale_pct : 1;
    uint64_t burst = table[i].burst * pct / 100 / half;
    return (struct rate_limits){
        .interval_us = 1000000U * half * 100U / (table[i].per_second * pct),
        .burst = burst ? burst : 1,
    };
}

static bool is_idle(const struct keyed *record, uint64_t now_ms)
{
    const struct rate_bucket *b = (const struct rate_bucket *)(const void *)record;
    /* As new: full again and not paused. A minute more, so that a busy account keeps its record. */
    return b->paused_until_ms + 60000 < now_ms && b->arrival_us / 1000 + 60000 < now_ms;
}

void rates_init(struct rates *rates, uint32_t scale_pct)
{
    keyed_init(&rates->map, sizeof(struct rate_bucket), is_idle);
    rates->scale_pct = scale_pct;
}

void rates_done(struct rates *rates)
{
    keyed_done(&rates->map);
}

static bool key_of(char *ret, size_t size, const char *rate_key, const char *family)
{
    int n = snprintf(ret, size, "%s|%s", rate_key, family);
    return n > 0 && (size_t)n < size;
}

struct rate_bucket *rates_bucket(struct rates *rates, const char *rate_key, const char *family, uint64_t now_ms)
{
    char key[224];
    bool is_new = false;
    if (!key_of(key, sizeof key, rate_key, family))
        key[sizeof key - 1] = 0; /* shares a bucket with its like: slower, never faster */
    struct rate_bucket *b = (struct rate_bucket *)(void *)keyed_get(&rates->map, key, now_ms, &is_new);
    if (is_new)
        b->limits = rate_limits_of(family, rates->scale_pct);
    return b;
}

uint64_t rate_peek(const struct rate_bucket *b, uint64_t now_ms)
{
    uint64_t slack_us = (b->limits.burst - 1) * b->limits.interval_us;
    uint64_t due_ms = now_ms;
    if (b->arrival_us > slack_us) {
        uint64_t earliest_ms = (b->arrival_us - slack_us + 999) / 1000;
        due_ms = earliest_ms > due_ms ? earliest_ms : due_ms;
    }
    return b->paused_until_ms > due_ms ? b->paused_until_ms : due_ms;
}

uint64_t rate_take(struct rate_bucket *b, uint64_t now_ms)
{
    uint64_t due_ms = rate_peek(b, now_ms);
    uint64_t from_us = b->arrival_us > due_ms * 1000 ? b->arrival_us : due_ms * 1000;
    b->arrival_us = from_us + b->limits.interval_us;
    return due_ms;
}

uint32_t rates_wait_ms(const struct rates *rates, const char *rate_key, const char *family, uint64_t now_ms)
{
    char key[224];
    if (!key_of(key, sizeof key, rate_key, family))
        return 0;
    const struct rate_bucket *b = (const struct rate_bucket *)(const void *)keyed_find(&rates->map, key);
    uint64_t wait = b ? rate_peek(b, now_ms) - now_ms : 0;
    return wait > UINT32_MAX ? UINT32_MAX : (uint32_t)wait;
}

void rate_pause(struct rate_bucket *b, uint64_t until_ms)
{
    if (until_ms > b->paused_until_ms)
        b->paused_until_ms = until_ms;
}

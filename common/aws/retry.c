/* Retry budget and delays; see retry.h for where the numbers come from. */
#include "common/aws/retry.h"

#include <stdio.h>

#define TOKENS_FULL 500U
#define PRICE_TRANSIENT 14U
#define PRICE_THROTTLE 5U
#define BASE_TRANSIENT_MS 50U
#define BASE_THROTTLE_MS 1000U
#define DELAY_MAX_MS 20000U
#define HINT_ROOM_MS 5000U
#define IDLE_MS 600000U

static bool is_idle(const struct keyed *record, uint64_t now_ms)
{
    const struct retry_tokens *t = (const struct retry_tokens *)(const void *)record;
    return t->used_ms + IDLE_MS < now_ms;
}

void retry_tokens_init(struct keyed_map *map)
{
    keyed_init(map, sizeof(struct retry_tokens), is_idle);
}

struct retry_tokens *retry_tokens_get(struct keyed_map *map, const char *rate_key, const char *service, uint64_t now_ms)
{
    char key[160];
    bool is_new = false;
    (void)snprintf(key, sizeof key, "%s|%s", rate_key, service);
    struct retry_tokens *t = (struct retry_tokens *)(void *)keyed_get(map, key, now_ms, &is_new);
    if (is_new)
        t->left = TOKENS_FULL;
    t->used_ms = now_ms;
    return t;
}

uint32_t retry_price(enum retry_reason reason)
{
    return reason == RETRY_FOR_THROTTLE ? PRICE_THROTTLE : PRICE_TRANSIENT;
}

bool retry_spend(struct retry_tokens *tokens, enum retry_reason reason, uint64_t now_ms)
{
    uint32_t price = retry_price(reason);
    tokens->used_ms = now_ms;
    if (tokens->left < price)
        return false;
    tokens->left -= price;
    return true;
}

void retry_refund(struct retry_tokens *tokens, uint32_t spent)
{
    uint32_t back = spent ? spent : 1;
    tokens->left = tokens->left + back > TOKENS_FULL ? TOKENS_FULL : tokens->left + back;
}

uint32_t retry_delay_ms(const struct env *env, enum retry_reason reason, uint32_t retries, bool has_hint,
                        uint64_t hint_ms)
{
    uint32_t span = reason == RETRY_FOR_THROTTLE ? BASE_THROTTLE_MS : BASE_TRANSIENT_MS;
    for (uint32_t i = 0; i < retries && span < DELAY_MAX_MS; i++)
        span *= 2;
    span = span < DELAY_MAX_MS ? span : DELAY_MAX_MS;
    uint32_t delay = (uint32_t)env_random_below(env, (uint64_t)span + 1);
    if (has_hint && hint_ms > delay)
        delay = hint_ms - delay > HINT_ROOM_MS ? delay + HINT_ROOM_MS : (uint32_t)hint_ms;
    return delay;
}

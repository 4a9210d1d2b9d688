/* How often and when to try again: the numbers of AWS's 2026 standard mode. Pure: time and chance come in. */
#pragma once

#include "common/aws/keyed.h"
#include "common/base/env.h"

#define RETRY_TRIES_MAX 3U

enum retry_reason { RETRY_FOR_TRANSIENT, RETRY_FOR_THROTTLE };

/* One per (account, service): a failing service is not asked three times as often by everybody. */
struct retry_tokens {
    struct keyed keyed;
    uint32_t left;
    uint64_t used_ms;
};
void retry_tokens_init(struct keyed_map *map);
struct retry_tokens *retry_tokens_get(struct keyed_map *map, const char *rate_key, const char *service,
                                      uint64_t now_ms);
/* Takes a retry's price; false when the bucket is too empty. */
bool retry_spend(struct retry_tokens *tokens, enum retry_reason reason, uint64_t now_ms);
/* After a success: gives back `spent` (of the last retry), or 1 for a first try. */
void retry_refund(struct retry_tokens *tokens, uint32_t spent);
uint32_t retry_price(enum retry_reason reason);

/* Full jitter: rand(0,1) * min(base * 2^retries, 20 s), `retries` before this one. A server's hint (x-amz-retry-after
 * in milliseconds) is clamped to [delay, delay + 5 s]. */
uint32_t retry_delay_ms(const struct env *env, enum retry_reason reason, uint32_t retries, bool has_hint,
                        uint64_t hint_ms);

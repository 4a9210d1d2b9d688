#include "common/base/env.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static uint64_t clock_ms(clockid_t id)
{
    struct timespec ts;
    if (clock_gettime(id, &ts) != 0)
        abort();
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t system_unix_ms(void *self UNUSED)
{
    return clock_ms(CLOCK_REALTIME);
}

static uint64_t system_boot_ms(void *self UNUSED)
{
    return clock_ms(CLOCK_BOOTTIME);
}

static void system_random(void *self UNUSED, void *bytes, size_t len)
{
    unsigned char *p = bytes;
    while (len) {
        ssize_t n = getrandom(p, len < 256 ? len : 256, 0);
        if (n <= 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

const struct env *env_system(void)
{
    static const struct env system = {system_unix_ms, system_boot_ms, system_random, NULL};
    return &system;
}

uint64_t env_random_below(const struct env *e, uint64_t below)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % below, v;
    do
        env_random(e, &v, sizeof v);
    while (v >= limit);
    return v % below;
}

#include "common/queue/share.h"

#include "common/base/macros.h"
#include "common/base/str.h"
#include "common/queue/record.h"

#include <stddef.h>

/* Each class counts four times the next one. */
static const struct {
    const char *name;
    uint8_t weight;
} priorities[] = {{"urgent", 16}, {"normal", RECORD_WEIGHT}, {"bulk", 1}};

static uint8_t weight_of(const char *priority)
{
    for (size_t i = 0; i < ARRAY_LEN(priorities); i++)
        if (str_eq(priorities[i].name, priority))
            return priorities[i].weight;
    return *priority ? 0 : RECORD_WEIGHT;
}

bool share_priority_is_known(const char *priority)
{
    return weight_of(priority) > 0;
}

/* FNV-1a. Two groups that meet in one number share one share: with a thousand groups in a shard that is one chance in
 * ten thousand, and nothing but their shares depends on it. */
static uint32_t hash(uint32_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619U;
    return h;
}

struct share share_of(const char *group, const char *priority)
{
    uint8_t weight = weight_of(priority);
    struct share s = {.weight = weight ? weight : RECORD_WEIGHT};
    if (!*group)
        return s;
    const char class_[] = {(char)('0' + s.weight), '/', 0};
    uint32_t h = hash(hash(2166136261U, class_), group);
    s.group = h ? h : 1;
    return s;
}

/* Hash slots of Redis Cluster: CRC16 (XMODEM: polynomial 0x1021, start 0) of the key, or of its tag between the first
 * "{" and the next "}" when something stands there. Source: redis.io, "Redis cluster specification", key distribution.
 */
#include "common/redis/redis_slots.h"

#include "common/redis/redis.h"

#include <string.h>

static uint16_t crc16(const char *bytes, size_t len)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint32_t)(unsigned char)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t)(crc & 0xffff);
}

uint16_t redis_slot_of(const char *key, size_t len)
{
    const char *open = memchr(key, '{', len);
    if (open) {
        const char *tag = open + 1, *close = memchr(tag, '}', len - (size_t)(tag - key));
        if (close && close > tag)
            return crc16(tag, (size_t)(close - tag)) % REDIS_SLOTS;
    }
    return crc16(key, len) % REDIS_SLOTS;
}

unsigned redis_route(const char *key)
{
    return 1u + redis_slot_of(key, strlen(key));
}

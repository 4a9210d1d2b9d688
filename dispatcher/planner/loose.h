/* Jansson's iterators and libmicrohttpd's buffers want pointers without const although they change nothing; and what is
 * wiped after use was const to its reader. One place where const is dropped, to be found by name. */
#pragma once

#include <string.h>

static inline void *loose(const void *p)
{
    void *ret;
    memcpy(&ret, &p, sizeof ret);
    return ret;
}

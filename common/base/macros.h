/* GNU attributes behind readable names, so that the rest of the code stays plain C11. */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NEVER_NULL __attribute__((returns_nonnull)) /* or an inlined str_eq() lets the compiler doubt it */
#define UNUSED __attribute__((unused))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Hands a pointer over: gives its value and leaves NULL behind, so that scope cleanup finds nothing. */
#define TAKE(p)                                                                                                        \
    __extension__({                                                                                                    \
        __typeof__(p) take_ = (p);                                                                                     \
        (p) = NULL;                                                                                                    \
        take_;                                                                                                         \
    })

/* Defines `cleanup_NAME`, for `CLEANUP(cleanup_NAME) type *x = NULL;`. */
#define DEFINE_CLEANUP(name, type, fn)                                                                                 \
    static inline UNUSED void cleanup_##name(type *p)                                                                  \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            fn(*p);                                                                                                    \
    }

/* The struct that holds `member`, given a pointer to the member. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* What every unit test includes, in the order cmocka wants. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `p`, which must not be NULL: cmocka's own assert does not tell the compiler that it never comes back. */
#define GOT(p)                                                                                                         \
    __extension__({                                                                                                    \
        __typeof__(p) got_ = (p);                                                                                      \
        if (!got_) {                                                                                                   \
            fail_msg("%s is NULL", #p);                                                                                \
            abort();                                                                                                   \
        }                                                                                                              \
        got_;                                                                                                          \
    })

/* ctest shows it as skipped; with REQUIRE_<what>=1 it fails instead. */
static inline int test_skip(const char *what, const char *why)
{
    char name[64];
    (void)snprintf(name, sizeof name, "REQUIRE_%s", what);
    const char *wanted = getenv(name);
    (void)fprintf(stderr, "SKIPPED: %s\n", why);
    return wanted && *wanted == '1' ? 1 : 77;
}

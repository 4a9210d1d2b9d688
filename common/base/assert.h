/* ASSERT stays on in release: it prints where, then aborts. For our bugs only; bytes from outside are errors. */
#pragma once

#include "common/base/macros.h"

#include <stdint.h>

_Noreturn void assert_fail(const char *what, const char *file, int line);

#define ASSERT(cond) ((cond) ? (void)0 : assert_fail(#cond, __FILE__, __LINE__))

/* Structs that travel through `void *` start with `uint32_t magic` and come back through this. */
#define OBJ_CAST(ptr, type, magic_value)                                                                               \
    __extension__({                                                                                                    \
        type *obj_ = (ptr);                                                                                            \
        ASSERT(obj_ && obj_->magic == (uint32_t)(magic_value));                                                        \
        obj_;                                                                                                          \
    })

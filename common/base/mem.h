/* Memory. Every size is bounded by the caller before it gets here, so running out means the machine is out:
 * the process logs one line and aborts. That is safe by design (P1): the lease expires and the journal resumes. */
#pragma once

#include "common/base/macros.h"

void *mem_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));     /* zeroed */
void *mem_resize(void *old, size_t bytes) __attribute__((returns_nonnull)); /* grown part is not zeroed */
char *mem_dup(const char *text) __attribute__((malloc, returns_nonnull));   /* NULL reads as "" */
char *mem_dup_bytes(const void *bytes, size_t len) __attribute__((malloc, returns_nonnull)); /* adds a NUL */
void mem_free(void *p);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

static inline UNUSED void cleanup_mem(void *p)
{
    void **slot = p;
    mem_free(*slot);
}
/* `AUTO_FREE char *s = mem_dup(x);` is freed at the end of its scope. */
#define AUTO_FREE CLEANUP(cleanup_mem)

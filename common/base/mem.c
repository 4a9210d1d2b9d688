#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *must(void *p)
{
    if (!p) {
        static const char line[] = "{\"ev\":\"process.out_of_memory\"}\n";
        (void)fwrite(line, 1, sizeof line - 1, stderr);
        abort();
    }
    return p;
}

void *mem_alloc(size_t bytes)
{
    return must(calloc(1, bytes ? bytes : 1));
}

void *mem_resize(void *old, size_t bytes)
{
    return must(realloc(old, bytes ? bytes : 1));
}

char *mem_dup_bytes(const void *bytes, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

char *mem_dup(const char *text)
{
    return mem_dup_bytes(text ? text : "", text ? strlen(text) : 0);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_printf(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&out, fmt, ap);
    va_end(ap);
    return must(n < 0 ? NULL : out);
}

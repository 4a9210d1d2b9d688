#include "common/base/secret.h"

#include "common/base/mem.h"

#include <string.h>
#include <sys/mman.h>

struct secret {
    uint32_t refs;
    size_t len;
    size_t mapped;
    unsigned char bytes[];
};

void secret_wipe(void *p, size_t len)
{
    if (p && len)
        explicit_bzero(p, len);
}

/* Whole pages from the kernel: they can be locked and excluded from cores without touching neighbours. */
struct secret *secret_new(const void *bytes, size_t len)
{
    size_t need = sizeof(struct secret) + len + 1;
    size_t mapped = (need + 4095) & ~(size_t)4095;
    struct secret *s = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        abort();
    (void)mlock(s, mapped); /* best effort: RLIMIT_MEMLOCK may be small */
    (void)madvise(s, mapped, MADV_DONTDUMP);
    s->refs = 1;
    s->len = len;
    s->mapped = mapped;
    if (len)
        memcpy(s->bytes, bytes, len);
    s->bytes[len] = 0;
    return s;
}

struct secret *secret_ref(struct secret *s)
{
    if (s)
        s->refs++;
    return s;
}

void secret_unref(struct secret *s)
{
    if (!s || --s->refs)
        return;
    size_t mapped = s->mapped;
    secret_wipe(s, mapped);
    (void)munmap(s, mapped);
}

const unsigned char *secret_bytes(const struct secret *s)
{
    return s->bytes;
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

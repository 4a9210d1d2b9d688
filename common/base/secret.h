/* Secrets are a type of their own: erased on free, no `%s`, unknown to the logger, kept out of core files and swap
 * where the system allows. To read one you must say so: secret_bytes(). */
#pragma once

#include "common/base/macros.h"

#include <stdint.h>

struct secret; /* opaque */

struct secret *secret_new(const void *bytes, size_t len); /* copies; the caller wipes its own copy */
struct secret *secret_ref(struct secret *s);
void secret_unref(struct secret *s);                       /* NULL is fine; wiped at the last reference */
const unsigned char *secret_bytes(const struct secret *s); /* NUL-terminated after `len` */
size_t secret_len(const struct secret *s);
/* Overwrites memory in a way the compiler keeps. */
void secret_wipe(void *p, size_t len);

DEFINE_CLEANUP(secret, struct secret *, secret_unref)
#define AUTO_SECRET CLEANUP(cleanup_secret)

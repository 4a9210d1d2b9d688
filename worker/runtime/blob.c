/* Results over a kilobyte are kept out of the queue's hash: by content, compressed. */
#include "common/crypto/crypto.h"
#include "worker/runtime/engine_private.h"

#include <zstd.h>

#define BLOB_BYTES_MAX (32u * 1024u * 1024u)

void blob_make(const char *text, void **ret_bytes, size_t *ret_len, char **ret_stub, char ret_digest[65])
{
    size_t len = strlen(text), room = ZSTD_compressBound(len);
    void *bytes = mem_alloc(room);
    size_t n = ZSTD_compress(bytes, room, text, len, 3);
    ASSERT(!ZSTD_isError(n)); /* the room is enough by definition */
    crypto_sha256_hex(text, len, ret_digest);
    json_auto_t *stub = json_make("{s:s, s:I}", "$blob", ret_digest, "bytes", (json_int_t)len);
    *ret_bytes = bytes;
    *ret_len = n;
    *ret_stub = json_text(stub);
}

json_t *blob_read(const void *bytes, size_t len, const json_t *stub, struct err *err)
{
    int64_t size = json_int_at(stub, "bytes");
    char digest[65];
    if (size < 0 || size > BLOB_BYTES_MAX) {
        (void)err_set(err, ERR_CORRUPT, "a stored result claims %lld bytes", (long long)size);
        return NULL;
    }
    AUTO_FREE char *text = mem_alloc((size_t)size + 1);
    size_t n = ZSTD_decompress(text, (size_t)size, bytes, len);
    if (ZSTD_isError(n) || n != (size_t)size) {
        (void)err_set(err, ERR_CORRUPT, "a stored result cannot be unpacked");
        return NULL;
    }
    crypto_sha256_hex(text, n, digest);
    if (strcmp(digest, json_str_at(stub, "$blob")) != 0) {
        (void)err_set(err, ERR_CORRUPT, "a stored result is not what its digest says");
        return NULL;
    }
    return json_read(text, n, 0, err);
}

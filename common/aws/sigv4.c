/* Signature Version 4, one function per stage of AWS's description, so that a wrong signature can be found by looking
 * at the first stage that differs. Pure: no clock, no network. */
#include "common/aws/sigv4.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/codec/uri.h"
#include "common/crypto/crypto.h"

#include <strings.h>

#define SIGNED_HEADERS_MAX 64U
#define SIGV4_ALGORITHM "AWS4-HMAC-SHA256"
#define CANONICAL_BYTES_MAX ((size_t)256 * 1024)

/* Proxies and libraries add or change these on the way. */
static const char *const never_signed[] = {
    "authorization", "connection", "expect",     "keep-alive",        "te",
    "trailer",       "upgrade",    "user-agent", "transfer-encoding", "x-amzn-trace-id"};

/* ---- Path -----------------------------------------------------------------------------------------------------------
 */
/* Dot segments and empty segments out; a slash at the very end stays. */
static void normalize_path(const char *path, struct str *out)
{
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out->len && out->data[--out->len] != '/')
                ;
            out->data[out->len] = 0;
        } else if (n > 1 || (n == 1 && p[0] != '.')) {
            str_add_char(out, '/');
            str_add_bytes(out, p, n);
        }
        p += n;
        p += *p == '/';
    }
    if (!out->len || str_ends(path, "/"))
        str_add_char(out, '/');
}

static void canonical_path(const struct sigv4_input *in, struct str *ret)
{
    const char *path = *in->path ? in->path : "/";
    if (in->is_s3) { /* encoded once, as sent */
        str_add(ret, path);
        return;
    }
    if (in->keep_path) {
        uri_encode(ret, path, strlen(path), true);
        return;
    }
    AUTO_STR struct str plain;
    str_init(&plain, CANONICAL_BYTES_MAX);
    normalize_path(path, &plain);
    uri_encode(ret, plain.data, plain.len, true);
}

/* ---- Query ----------------------------------------------------------------------------------------------------------
 */
struct pair {
    char *name;
    char *value;
};

static int by_name_then_value(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->value, y->value);
}

/* One encoding for all: what is encoded is decoded first, so that %2f and raw UTF-8 come out as %2F and escapes. */
static char *reencode(const char *text, size_t len)
{
    AUTO_STR struct str out;
    str_init(&out, CANONICAL_BYTES_MAX);
    size_t plain_len = 0;
    AUTO_FREE char *plain = uri_decode(text, len, false, &plain_len);
    if (plain)
        uri_encode(&out, plain, plain_len, false);
    else
        uri_encode(&out, text, len, false);
    return str_take(&out);
}

static void canonical_query(const char *query, struct str *ret)
{
    size_t count = 1;
    for (const char *p = query; *p; p++)
        count += *p == '&';
    struct pair *pairs = mem_alloc(count * sizeof *pairs);
    size_t used = 0;
    for (const char *p = query; *p;) {
        size_t len = strcspn(p, "&"), name = 0;
        while (name < len && p[name] != '=')
            name++;
        if (len) {
            pairs[used].name = reencode(p, name);
            pairs[used++].value = name < len ? reencode(p + name + 1, len - name - 1) : mem_dup("");
        }
        p += len + (p[len] == '&');
    }
    if (used)
        qsort(pairs, used, sizeof *pairs, by_name_then_value);
    for (size_t i = 0; i < used; i++) {
        str_addf(ret, "%s%s=%s", i ? "&" : "", pairs[i].name, pairs[i].value);
        mem_free(pairs[i].name);
        mem_free(pairs[i].value);
    }
    mem_free(pairs);
}

/* ---- Headers --------------------------------------------------------------------------------------------------------
 */
struct signed_header {
    const struct sigv4_header *header;
    size_t place; /* keeps duplicates in the order in which they are sent */
};

static int by_lower_name(const void *a, const void *b)
{
    const struct signed_header *x = a, *y = b;
    int order = strcasecmp(x->header->name, y->header->name);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static bool is_signed(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(never_signed); i++)
        if (strcasecmp(name, never_signed[i]) == 0)
            return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void add_trimmed(struct str *ret, const char *value)
{
    bool is_first = true;
    for (const char *p = value; *p;) {
        while (is_space(*p))
            p++;
        const char *start = p;
        while (*p && !is_space(*p))
            p++;
        if (p > start) {
            if (!is_first)
                str_add_char(ret, ' ');
            str_add_bytes(ret, start, (size_t)(p - start));
            is_first = false;
        }
    }
}

static void add_lower(struct str *ret, const char *name)
{
    for (; *name; name++)
        str_add_char(ret, *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name);
}

static void canonical_headers(const struct sigv4_input *in, struct str *ret, struct str *names)
{
    struct signed_header list[SIGNED_HEADERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < in->header_count; i++) {
        if (!is_signed(in->headers[i].name))
            continue;
        ASSERT(count < SIGNED_HEADERS_MAX);
        list[count++] = (struct signed_header){&in->headers[i], i};
    }
    if (count)
        qsort(list, count, sizeof *list, by_lower_name);
    for (size_t i = 0; i < count; i++) {
        if (i && strcasecmp(list[i].header->name, list[i - 1].header->name) == 0) {
            str_add_char(ret, ',');
        } else {
            if (i)
                str_add(ret, "\n");
            if (names->len)
                str_add_char(names, ';');
            add_lower(names, list[i].header->name);
            add_lower(ret, list[i].header->name);
            str_add_char(ret, ':');
        }
        add_trimmed(ret, list[i].header->value);
    }
    str_add(ret, "\n");
}

/* ---- The stages -----------------------------------------------------------------------------------------------------
 */
void sigv4_canonical_request(const struct sigv4_input *in, struct str *ret, struct str *ret_signed_headers)
{
    str_addf(ret, "%s\n", in->method);
    canonical_path(in, ret);
    str_add(ret, "\n");
    canonical_query(in->query, ret);
    str_add(ret, "\n");
    canonical_headers(in, ret, ret_signed_headers);
    str_addf(ret, "\n%s\n%s", ret_signed_headers->data, in->payload_hash);
}

static void add_scope(const struct sigv4_input *in, struct str *ret)
{
    str_addf(ret, "%.8s/%s/%s/aws4_request", in->amz_date, in->region, in->service);
}

void sigv4_string_to_sign(const struct sigv4_input *in, const char *canonical, struct str *ret)
{
    char hash[65];
    crypto_sha256_hex(canonical, strlen(canonical), hash);
    str_addf(ret, SIGV4_ALGORITHM "\n%s\n", in->amz_date);
    add_scope(in, ret);
    str_addf(ret, "\n%s", hash);
}

void sigv4_signature(const struct sigv4_input *in, const struct aws_identity *who, const char *string_to_sign,
                     char ret[65])
{
    char *first = mem_printf("AWS4%s", (const char *)secret_bytes(who->secret_key));
    size_t first_len = strlen(first);
    unsigned char key[32], signature[32];
    crypto_hmac_sha256(first, first_len, in->amz_date, 8, key);
    secret_wipe(first, first_len);
    mem_free(first);
    crypto_hmac_sha256(key, sizeof key, in->region, strlen(in->region), key);
    crypto_hmac_sha256(key, sizeof key, in->service, strlen(in->service), key);
    crypto_hmac_sha256(key, sizeof key, "aws4_request", 12, key);
    crypto_hmac_sha256(key, sizeof key, string_to_sign, strlen(string_to_sign), signature);
    secret_wipe(key, sizeof key);
    crypto_hex(signature, sizeof signature, ret);
}

void sigv4_authorization(const struct sigv4_input *in, const struct aws_identity *who, struct str *ret)
{
    ASSERT(strlen(in->amz_date) == 16);
    AUTO_STR struct str canonical, names, text;
    str_init(&canonical, CANONICAL_BYTES_MAX);
    str_init(&names, 8192);
    str_init(&text, 1024);
    sigv4_canonical_request(in, &canonical, &names);
    sigv4_string_to_sign(in, canonical.data, &text);
    ASSERT(!canonical.is_over && !names.is_over && !text.is_over); /* the client bounds what it signs well below */
    char signature[65];
    sigv4_signature(in, who, text.data, signature);
    secret_wipe(canonical.data, canonical.len); /* holds the session token */
    str_addf(ret, SIGV4_ALGORITHM " Credential=%s/", who->access_key_id);
    add_scope(in, ret);
    str_addf(ret, ", SignedHeaders=%s, Signature=%s", names.data, signature);
}

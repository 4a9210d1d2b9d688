/* Who signed a request: AWS Signature Version 4 checked by code of its own, so that an error in common/aws/sigv4.c
 * shows here.
 *
 * Invariant: no handler runs before the signature, its age, and the key's state have been checked. */
#include "sim_core.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIGNING_KEYS_MAX 60000u

struct signing {
    char key_id[64], date[9], region[40], service[48];
    char signed_headers[2048];
    char signature[65];
    char at[17]; /* x-amz-date */
};

static struct sim_map signing_keys;
static uint64_t verified, cache_hits;

/* ---- the signature ---- */

static void hmac(const void *key, size_t key_bytes, const char *text, size_t bytes, unsigned char ret[32])
{
    unsigned int n = 32;
    static const EVP_MD *md;
    if (!md)
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!HMAC(md, key, (int)key_bytes, (const unsigned char *)text, bytes, ret, &n))
        abort();
}

static const unsigned char *signing_key(const struct signing *s, const char *secret)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s/%s/%s/%s/%s", s->key_id, secret, s->date, s->region, s->service);
    unsigned char *key = sim_map_get(&signing_keys, name);
    if (key) {
        cache_hits++;
        return key;
    }
    if (signing_keys.used > SIGNING_KEYS_MAX)
        sim_map_clear(&signing_keys, free);
    key = malloc(32);
    if (!key)
        abort();
    char first[64];
    int n = snprintf(first, sizeof first, "AWS4%s", secret);
    hmac(first, (size_t)n, s->date, strlen(s->date), key);
    hmac(key, 32, s->region, strlen(s->region), key);
    hmac(key, 32, s->service, strlen(s->service), key);
    hmac(key, 32, "aws4_request", 12, key);
    sim_map_put(&signing_keys, name, key);
    return key;
}

/* Removes dot segments and doubled slashes, as every service but S3 does before signing. */
static void normal_path(const char *path, struct sim_text *ret)
{
    const char *starts[128];
    size_t lengths[128], count = 0;
    for (const char *at = path; *at;) {
        while (*at == '/')
            at++;
        size_t bytes = strcspn(at, "/");
        if (bytes == 2 && memcmp(at, "..", 2) == 0) {
            count -= count > 0;
        } else if (bytes > 0 && !(bytes == 1 && *at == '.') && count < 128) {
            starts[count] = at;
            lengths[count++] = bytes;
        }
        at += bytes;
    }
    for (size_t i = 0; i < count; i++) {
        sim_text_puts(ret, "/");
        sim_text_uri(ret, starts[i], lengths[i], false);
    }
    size_t bytes = strlen(path);
    if (count == 0 || (bytes > 0 && path[bytes - 1] == '/'))
        sim_text_puts(ret, "/");
}

static void canonical_path(bool s3, const char *path, struct sim_text *ret)
{
    if (!s3) {
        normal_path(path, ret);
        return;
    }
    char *plain = strdup(path);
    if (!plain)
        abort();
    size_t bytes = sim_uri_decode(plain, strlen(plain), false);
    sim_text_uri(ret, plain, bytes, true);
    free(plain);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *canonical_pair(const char *pair, size_t bytes)
{
    struct sim_text t = {0};
    const char *equals = memchr(pair, '=', bytes);
    size_t name_bytes = equals ? (size_t)(equals - pair) : bytes;
    char *copy = strndup(pair, name_bytes);
    if (!copy)
        abort();
    sim_text_uri(&t, copy, sim_uri_decode(copy, name_bytes, false), false);
    free(copy);
    sim_text_puts(&t, "=");
    if (equals) {
        copy = strndup(equals + 1, bytes - name_bytes - 1);
        if (!copy)
            abort();
        sim_text_uri(&t, copy, sim_uri_decode(copy, bytes - name_bytes - 1, false), false);
        free(copy);
    }
    return t.data;
}

static void canonical_query(const char *query, struct sim_text *ret)
{
    char *pairs[256];
    size_t count = 0;
    for (const char *at = query; *at && count < 256;) {
        size_t bytes = strcspn(at, "&");
        if (bytes > 0)
            pairs[count++] = canonical_pair(at, bytes);
        at += bytes + (at[bytes] == '&');
    }
    /* '=' sorts after most of what an encoded name may hold, as comparing name and value apart would have it, except
     * for '-' and '.' and digits, which come before it: compare with the '=' taken as the lowest. */
    for (size_t i = 0; i < count; i++)
        *strchr(pairs[i], '=') = '\1';
    qsort(pairs, count, sizeof pairs[0], by_text);
    for (size_t i = 0; i < count; i++) {
        *strchr(pairs[i], '\1') = '=';
        if (i > 0)
            sim_text_puts(ret, "&");
        sim_text_puts(ret, pairs[i]);
        free(pairs[i]);
    }
}

static void signature_of(const struct signing *s, const char *secret, const struct sim_raw *raw,
                         const char *payload_hash, char ret[65])
{
    static struct sim_text canonical; /* one thread; kept, so that a request costs no allocation here */
    canonical.bytes = 0;
    sim_text_printf(&canonical, "%s\n", raw->method);
    canonical_path(strcmp(s->service, "s3") == 0, raw->path, &canonical);
    sim_text_puts(&canonical, "\n");
    canonical_query(raw->query, &canonical);
    sim_text_puts(&canonical, "\n");
    for (const char *at = s->signed_headers; *at;) {
        char name[128];
        size_t bytes = strcspn(at, ";");
        (void)snprintf(name, sizeof name, "%.*s", (int)bytes, at);
        sim_text_printf(&canonical, "%s:", name);
        sim_http_header_joined(raw->http, name, &canonical);
        sim_text_puts(&canonical, "\n");
        at += bytes + (at[bytes] == ';');
    }
    sim_text_printf(&canonical, "\n%s\n%s", s->signed_headers, payload_hash);
    char digest[65], to_sign[512];
    sim_sha256_hex(canonical.data, canonical.bytes, digest);
    int n = snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", s->at, s->date,
                     s->region, s->service, digest);
    unsigned char mac[32];
    hmac(signing_key(s, secret), 32, to_sign, (size_t)n, mac);
    sim_hex(mac, sizeof mac, ret);
}

/* ---- refusals, in the words of each protocol ---- */

enum refusal { UNSIGNED, INCOMPLETE, UNKNOWN_KEY, BAD_SIGNATURE, SKEWED, EXPIRED, BAD_TOKEN, BAD_HASH };

static bool refuse(struct sim_request *rq, enum refusal why, const char *text)
{
    static const struct {
        const char *query, *json, *s3;
        int s3_status;
    } codes[] = {
        [UNSIGNED] = {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "AccessDenied", 403},
        [INCOMPLETE] = {"IncompleteSignature", "IncompleteSignatureException", "AuthorizationHeaderMalformed", 400},
        [UNKNOWN_KEY] = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", 403},
        [BAD_SIGNATURE] = {"SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch", 403},
        [SKEWED] = {"SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed", 403},
        [EXPIRED] = {"ExpiredToken", "ExpiredTokenException", "ExpiredToken", 400},
        [BAD_TOKEN] = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken", 400},
        [BAD_HASH] = {"SignatureDoesNotMatch", "InvalidSignatureException", "XAmzContentSHA256Mismatch", 400},
    };
    sim_counters.refused++;
    switch (sim_protocol_of(rq->service)) {
    case SIM_QUERY:
        sim_error(rq, why == INCOMPLETE ? 400 : 403, codes[why].query, "%s", text);
        break;
    case SIM_S3:
        sim_error(rq, codes[why].s3_status, codes[why].s3, "%s", text);
        break;
    case SIM_REST_JSON:
        sim_error(rq, 403, codes[why].json, "%s", text);
        break;
    case SIM_JSON:
        sim_error(rq, 400, codes[why].json, "%s", text);
        break;
    }
    return false;
}

/* ---- reading the header ---- */

static bool take_part(const char *header, const char *name, char *ret, size_t room)
{
    const char *at = strstr(header, name);
    if (!at)
        return false;
    at += strlen(name);
    size_t bytes = strcspn(at, ", ");
    if (bytes == 0 || bytes >= room)
        return false;
    memcpy(ret, at, bytes);
    ret[bytes] = '\0';
    return true;
}

static bool take_scope(char *credential, struct signing *s)
{
    char *parts[5] = {credential};
    for (int i = 1; i < 5; i++) {
        char *slash = strchr(parts[i - 1], '/');
        if (!slash)
            return false;
        *slash = '\0';
        parts[i] = slash + 1;
    }
    if (strlen(parts[1]) != 8 || strcmp(parts[4], "aws4_request") != 0 || strlen(parts[0]) >= sizeof s->key_id ||
        strlen(parts[2]) >= sizeof s->region || strlen(parts[3]) >= sizeof s->service)
        return false;
    (void)snprintf(s->key_id, sizeof s->key_id, "%s", parts[0]);
    (void)snprintf(s->date, sizeof s->date, "%s", parts[1]);
    (void)snprintf(s->region, sizeof s->region, "%s", parts[2]);
    (void)snprintf(s->service, sizeof s->service, "%s", parts[3]);
    return true;
}

static bool read_authorization(const struct sim_raw *raw, struct signing *s)
{
    const char *header = sim_http_header(raw->http, "Authorization");
    char credential[256];
    if (!header || strncmp(header, "AWS4-HMAC-SHA256 ", 17) != 0 ||
        !take_part(header, "Credential=", credential, sizeof credential) || !take_scope(credential, s))
        return false;
    return take_part(header, "SignedHeaders=", s->signed_headers, sizeof s->signed_headers) &&
           take_part(header, "Signature=", s->signature, sizeof s->signature);
}

static bool is_signed(const char *signed_headers, const char *name)
{
    size_t bytes = strlen(name);
    for (const char *at = signed_headers; *at;) {
        size_t word = strcspn(at, ";");
        if (word == bytes && strncasecmp(at, name, bytes) == 0)
            return true;
        at += word + (at[word] == ';');
    }
    return false;
}

struct unsigned_check {
    const struct signing *s;
    bool found;
};

static void check_signed(void *arg, const char *name, const char *value)
{
    struct unsigned_check *check = arg;
    (void)value;
    if ((strncasecmp(name, "x-amz-", 6) == 0 || strcasecmp(name, "host") == 0) &&
        !is_signed(check->s->signed_headers, name))
        check->found = true;
}

static bool time_of(const char *at, uint64_t *ret_ms)
{
    struct tm utc = {0};
    const char *end = strptime(at, "%Y%m%dT%H%M%SZ", &utc);
    if (!end || *end)
        return false;
    *ret_ms = (uint64_t)timegm(&utc) * 1000;
    return true;
}

static bool check_age(struct sim_request *rq, const struct signing *s)
{
    uint64_t signed_ms = 0, now = sim_server_ms();
    if (!time_of(s->at, &signed_ms) || strncmp(s->at, s->date, 8) != 0)
        return refuse(rq, BAD_SIGNATURE,
                      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP");
    uint64_t life = strcmp(s->service, "s3") == 0 ? 900000 : 300000;
    uint64_t past = sim_options.signature_life_ms ? sim_options.signature_life_ms : life;
    char text[256], at[32];
    sim_rfc3339(now, at);
    /* x-amz-date has whole seconds: a shorter life must not refuse what was signed in this very second. */
    if (now > signed_ms + past + (sim_options.signature_life_ms ? 1000 : 0)) {
        (void)snprintf(text, sizeof text, "Signature expired: %s is now earlier than %s (%llu ms of life)", s->at, at,
                       (unsigned long long)past);
        return refuse(rq, SKEWED, text);
    }
    if (signed_ms > now + life) {
        (void)snprintf(text, sizeof text, "Signature not yet current: %s is still later than %s", s->at, at);
        return refuse(rq, SKEWED, text);
    }
    return true;
}

static bool check_token(struct sim_request *rq, const struct sim_raw *raw, const struct sim_holder *who)
{
    const char *token = sim_http_header(raw->http, "x-amz-security-token");
    if (!who->session)
        return token ? refuse(rq, BAD_TOKEN, "The security token included in the request is invalid") : true;
    if (!token || strcmp(token, who->session->token) != 0)
        return refuse(rq, token ? BAD_TOKEN : UNKNOWN_KEY, "The security token included in the request is invalid");
    if (who->session->expires_ms <= sim_now_ms())
        return refuse(rq, EXPIRED, "The security token included in the request is expired");
    return true;
}

/* The hash that was signed, after checking that it is the body's. */
static bool payload_hash(struct sim_request *rq, const struct sim_raw *raw, char ret[65])
{
    char own[65];
    sim_sha256_hex(raw->body ? raw->body : "", raw->body_bytes, own);
    const char *given = sim_http_header(raw->http, "x-amz-content-sha256");
    if (strcmp(rq->service, "s3") != 0) {
        memcpy(ret, own, sizeof own);
        return !given || strcmp(given, own) == 0 || refuse(rq, BAD_HASH, "The provided content hash is not the body's");
    }
    if (!given) {
        sim_error(rq, 400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
        return false;
    }
    if (strcmp(given, own) != 0 && strcmp(given, "UNSIGNED-PAYLOAD") != 0)
        return refuse(rq, BAD_HASH, "The provided 'x-amz-content-sha256' header does not match what was computed.");
    (void)snprintf(ret, 65, "%s", given);
    return true;
}

static void set_caller(struct sim_request *rq, const struct signing *s, const struct sim_holder *who)
{
    rq->world = who->world;
    rq->world->requests++;
    (void)snprintf(rq->caller_account, sizeof rq->caller_account, "%s", who->account);
    (void)snprintf(rq->access_key_id, sizeof rq->access_key_id, "%s", s->key_id);
    if (who->session) {
        (void)snprintf(rq->caller_type, sizeof rq->caller_type, "AssumedRole");
        (void)snprintf(rq->session_name, sizeof rq->session_name, "%s", who->session->name);
        (void)snprintf(rq->caller_arn, sizeof rq->caller_arn, "arn:aws:sts::%s:assumed-role/%s/%s", who->account,
                       who->session->role, who->session->name);
    } else if (who->user[0]) {
        (void)snprintf(rq->caller_type, sizeof rq->caller_type, "IAMUser");
        const json_t *user =
            json_object_get(json_object_get(sim_account_iam(who->world, who->account), "users"), who->user);
        const char *arn = json_string_value(json_object_get(user, "Arn"));
        (void)snprintf(rq->caller_arn, sizeof rq->caller_arn, "%s", arn ? arn : "");
    } else {
        (void)snprintf(rq->caller_type, sizeof rq->caller_type, "Root");
        (void)snprintf(rq->caller_arn, sizeof rq->caller_arn, "arn:aws:iam::%s:root", who->account);
    }
}

bool sim_authenticate(struct sim_request *rq, const struct sim_raw *raw)
{
    static struct signing s; /* rq->service and rq->region point here while the request is served; one thread */
    s = (struct signing){0};
    const char *authorization = sim_http_header(raw->http, "Authorization");
    bool readable = authorization && read_authorization(raw, &s);
    rq->service = s.service[0] ? s.service : "sts";
    rq->region = s.region;
    if (!authorization)
        return refuse(rq, UNSIGNED, "Missing Authentication Token");
    const char *at = sim_http_header(raw->http, "x-amz-date");
    if (!readable || !at || strlen(at) >= sizeof s.at)
        return refuse(rq, INCOMPLETE,
                      "Authorization header requires Credential, SignedHeaders, Signature and X-Amz-Date");
    (void)snprintf(s.at, sizeof s.at, "%s", at);
    struct unsigned_check check = {.s = &s};
    sim_http_each_header(raw->http, check_signed, &check);
    if (check.found)
        return refuse(rq, BAD_SIGNATURE, "There were headers present in the request which were not signed");
    struct sim_holder who = {0};
    if (!sim_holder_find(s.key_id, &who))
        return refuse(rq, UNKNOWN_KEY, "The security token included in the request is invalid.");
    char hash[65], signature[65];
    if (!check_age(rq, &s) || !payload_hash(rq, raw, hash))
        return false;
    signature_of(&s, who.secret, raw, hash, signature);
    if (strlen(s.signature) != 64 || CRYPTO_memcmp(signature, s.signature, 64) != 0)
        return refuse(rq, BAD_SIGNATURE,
                      "The request signature we calculated does not match the signature you provided. "
                      "Check your AWS Secret Access Key and signing method.");
    if (!check_token(rq, raw, &who))
        return false;
    verified++;
    if (!who.session)
        sim_holder_note_use(s.key_id, s.service, s.region);
    set_caller(rq, &s, &who);
    return true;
}

json_t *sim_auth_stats(void)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "verified", (json_int_t)verified, "signing_key_hits",
                     (json_int_t)cache_hits, "signing_keys", (json_int_t)signing_keys.used, "sessions",
                     (json_int_t)sim_session_count());
}

/* Endpoints: parsed once, checked before they are believed and again for every origin that is dialled. */
#include "common/aws/endpoint.h"

#include "common/aws/partition.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/codec/uri.h"

#include <stdio.h>

#define ENDPOINTS_MAX 64U
#define REGION_DEFAULT "us-east-1"

struct endpoint {
    char service[48]; /* "*" for all others; "" for an address that is only allowed */
    char scheme[16];
    char host[260];
    uint16_t port;
};

struct aws_endpoints {
    bool is_simulated;
    size_t count;
    struct endpoint list[ENDPOINTS_MAX];
};

static uint16_t default_port(const char *scheme)
{
    return str_eq(scheme, "https") ? 443 : 80;
}

static bool is_loopback(const char *host)
{
    return str_eq(host, "localhost") || str_starts(host, "127.") || str_eq(host, "[::1]");
}

static bool has_host_letters(const char *host, bool is_six)
{
    for (const char *p = host; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-' && *p != '.' && !(is_six && *p == ':'))
            return false;
    return *host != 0;
}

static int check_host(const struct aws_endpoints *e, const struct endpoint *entry, struct err *err)
{
    if (aws_host_is_metadata(entry->host))
        return err_set(err, ERR_ENDPOINT_CLOSED, "%s is a metadata address, which is never dialled", entry->host);
    if (e->is_simulated && aws_host_is_real(entry->host))
        return err_set(err, ERR_ENDPOINT_CLOSED, "%s is AWS itself; a simulated fleet only reaches its simulator",
                       entry->host);
    if (!e->is_simulated && str_eq(entry->scheme, "http") && !is_loopback(entry->host))
        return err_set(err, ERR_CONFIG, "endpoint %s: live calls need https (plain http only to this machine)",
                       entry->host);
    return 0;
}

/* One address, without anything after the port. The text is never echoed: it could hold a password. */
static int parse_address(const struct aws_endpoints *e, const char *url, struct endpoint *ret, struct err *err)
{
    struct uri u;
    if (uri_parse(url, &u, err))
        return err_wrap(err, "endpoint");
    if (!str_eq(u.scheme, "http") && !str_eq(u.scheme, "https"))
        return err_set(err, ERR_CONFIG, "an endpoint starts with http:// or https://");
    if (*u.user || *u.password || *u.query || (*u.path && !str_eq(u.path, "/")))
        return err_set(err, ERR_CONFIG, "an endpoint is scheme, host and port, nothing more");
    for (char *p = u.host; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    bool is_six = strchr(u.host, ':') != NULL;
    if (!has_host_letters(u.host, is_six))
        return err_set(err, ERR_CONFIG, "an endpoint's host has characters that no host name has");
    (void)snprintf(ret->host, sizeof ret->host, is_six ? "[%s]" : "%s", u.host);
    (void)snprintf(ret->scheme, sizeof ret->scheme, "%s", u.scheme);
    ret->port = u.port ? u.port : default_port(u.scheme);
    return check_host(e, ret, err);
}

/* Service names compare in lower case with '_' for '-', as in the names of the variables. */
static void copy_service(char *ret, size_t size, const char *from, size_t len)
{
    size_t n = 0;
    for (; n < len && n + 1 < size; n++)
        ret[n] = from[n] == '-' ? '_' : (from[n] >= 'A' && from[n] <= 'Z') ? (char)(from[n] + 32) : from[n];
    ret[n] = 0;
}

static int add(struct aws_endpoints *e, const char *service, size_t service_len, const char *url, size_t url_len,
               struct err *err)
{
    if (e->count == ENDPOINTS_MAX)
        return err_set(err, ERR_CONFIG, "more than %u endpoints", ENDPOINTS_MAX);
    AUTO_FREE char *text = mem_dup_bytes(url, url_len);
    struct endpoint *entry = &e->list[e->count];
    copy_service(entry->service, sizeof entry->service, service, service_len);
    if (parse_address(e, text, entry, err))
        return -1;
    e->count++;
    return 0;
}

static int parse_list(struct aws_endpoints *e, const char *text, struct err *err)
{
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ","), name = 0;
        while (name < len && p[name] != '=' && p[name] != ':')
            name++;
        bool is_named = name < len && p[name] == '=';
        const char *url = is_named ? p + name + 1 : p;
        size_t url_len = is_named ? len - name - 1 : len;
        if (add(e, is_named ? p : "*", is_named ? name : 1, url, url_len, err))
            return -1;
        p += len + (p[len] == ',');
    }
    return 0;
}

static const struct endpoint *listed(const struct aws_endpoints *e, const struct aws_service *service)
{
    char id[48], sign[48];
    copy_service(id, sizeof id, service->id, strlen(service->id));
    copy_service(sign, sizeof sign, service->sign_name, strlen(service->sign_name));
    const struct endpoint *rest = NULL;
    for (size_t i = 0; i < e->count; i++) {
        const struct endpoint *entry = &e->list[i];
        if (str_eq(entry->service, id) || str_eq(entry->service, sign))
            return entry;
        if (str_eq(entry->service, "*"))
            rest = entry;
    }
    return rest;
}

/* A live override from the environment, checked like a listed one. 0 and an empty host: none. */
static int from_environment(const struct aws_endpoints *e, const struct aws_service *service, struct endpoint *ret,
                            struct err *err)
{
    *ret = (struct endpoint){0};
    const char *off = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    if (off && str_eq(off, "true"))
        return 0;
    char name[96] = "AWS_ENDPOINT_URL_";
    size_t n = strlen(name);
    for (const char *p = service->id; *p && n + 1 < sizeof name; p++)
        name[n++] = *p == '-' ? '_' : (*p >= 'a' && *p <= 'z') ? (char)(*p - 32) : *p;
    const char *url = getenv(name);
    if (!url || !*url)
        url = getenv("AWS_ENDPOINT_URL");
    return url && *url ? parse_address(e, url, ret, err) : 0;
}

int aws_endpoints_new(bool is_simulated, const char *text, struct aws_endpoints **ret, struct err *err)
{
    *ret = NULL;
    struct aws_endpoints *e = MEM_NEW(struct aws_endpoints);
    e->is_simulated = is_simulated;
    int rc = text ? parse_list(e, text, err) : 0;
    if (!rc && is_simulated && !e->count)
        rc = err_set(err, ERR_CONFIG, "a simulated fleet needs its endpoints");
    if (rc)
        mem_free(e);
    else
        *ret = e;
    return rc;
}

void aws_endpoints_free(struct aws_endpoints *e)
{
    mem_free(e);
}

int aws_endpoints_allow(struct aws_endpoints *e, const char *url, struct err *err)
{
    return add(e, "", 0, url, strlen(url), err);
}

/* The host of "scheme://host:port" into `ret`; false when it is not of that form. */
static bool host_of(const char *origin, char *ret, size_t size)
{
    const char *host = strstr(origin, "://");
    const char *port = strrchr(origin, ':');
    if (!host || !port || port < host + 3 || (size_t)(port - host - 3) >= size)
        return false;
    size_t n = (size_t)(port - host - 3);
    memcpy(ret, host + 3, n);
    ret[n] = 0;
    return n > 0;
}

bool aws_endpoints_gate(void *arg, const char *origin)
{
    const struct aws_endpoints *e = arg;
    char host[300];
    if (!host_of(origin, host, sizeof host) || aws_host_is_metadata(host))
        return false;
    if (!e->is_simulated)
        return true;
    if (aws_host_is_real(host))
        return false;
    for (size_t i = 0; i < e->count; i++) {
        char own[320];
        (void)snprintf(own, sizeof own, "%s://%s:%u", e->list[i].scheme, e->list[i].host, e->list[i].port);
        if (str_eq(own, origin))
            return true;
    }
    return false;
}

bool aws_bucket_fits_host(const char *bucket)
{
    size_t n = strlen(bucket);
    for (size_t i = 0; i < n; i++)
        if (!(bucket[i] >= 'a' && bucket[i] <= 'z') && !(bucket[i] >= '0' && bucket[i] <= '9') && bucket[i] != '-')
            return false;
    return n >= 3 && n <= 63 && bucket[0] != '-' && bucket[n - 1] != '-';
}

static void fill_custom(const struct endpoint *entry, struct aws_target *ret)
{
    ret->is_custom = true;
    bool is_default = entry->port == default_port(entry->scheme);
    if (is_default)
        (void)snprintf(ret->host, sizeof ret->host, "%s", entry->host);
    else
        (void)snprintf(ret->host, sizeof ret->host, "%s:%u", entry->host, entry->port);
    (void)snprintf(ret->origin, sizeof ret->origin, "%s://%s", entry->scheme, ret->host);
}

static void fill_aws(const struct aws_service *service, const char *bucket, struct aws_target *ret)
{
    AUTO_STR struct str host;
    str_init(&host, sizeof ret->host - 1);
    if (*bucket && aws_bucket_fits_host(bucket))
        str_addf(&host, "%s.", bucket);
    const char *mark = strstr(service->host, "{region}");
    if (mark) {
        str_add_bytes(&host, service->host, (size_t)(mark - service->host));
        str_add(&host, ret->region);
        str_add(&host, mark + strlen("{region}"));
    } else {
        str_add(&host, service->host);
    }
    ASSERT(!host.is_over); /* all parts are bounded */
    (void)snprintf(ret->host, sizeof ret->host, "%s", host.data);
    (void)snprintf(ret->origin, sizeof ret->origin, "https://%s", ret->host);
}

int aws_endpoints_resolve(const struct aws_endpoints *e, const struct aws_service *service, const char *region,
                          const char *bucket, struct aws_target *ret, struct err *err)
{
    *ret = (struct aws_target){0};
    const char *signs = service->sign_region ? service->sign_region : *region ? region : REGION_DEFAULT;
    if (aws_region_check(signs, err) || (*region && aws_region_check(region, err)))
        return -1;
    (void)snprintf(ret->region, sizeof ret->region, "%s", signs);
    const struct endpoint *entry = listed(e, service);
    struct endpoint override = {0};
    if (!entry && !e->is_simulated) {
        if (from_environment(e, service, &override, err))
            return -1;
        entry = *override.host ? &override : NULL;
    }
    if (entry) {
        if (check_host(e, entry, err)) /* once more at the moment of use */
            return -1;
        fill_custom(entry, ret);
        return 0;
    }
    if (e->is_simulated)
        return err_set(err, ERR_ENDPOINT_CLOSED, "no endpoint is listed for %s", service->id);
    fill_aws(service, bucket, ret);
    return 0;
}

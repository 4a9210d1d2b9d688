/* One exchange: the request as a curl handle, the answer within bounds, and above all what a failure proves.
 *
 * curl repeats a request by itself when a kept connection dies before the first byte of an answer, even when the
 * request had been written in full (lib/transfer.c, Curl_retry_request). For a write that could mean two effects (P2).
 * So each start of a request is counted in the pre-request callback, which curl calls before the first byte of every
 * try, and a second start is refused: one http_send is at most one request on the wire. Connections are still kept and
 * shared; the caller sees a failure with APPLIED_MAYBE and decides. HTTP/1.1 only, so there is no refused stream to
 * repeat either. */
#include "common/base/secret.h"
#include "common/http/http_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

bool http_response_header(const struct http_response *r, const char *name, char *ret, size_t ret_size)
{
    size_t n = strlen(name);
    for (const char *line = r->headers; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        if (len >= n + 2 && memcmp(line, name, n) == 0 && line[n] == ':' && line[n + 1] == ' ') {
            size_t value = len - n - 2;
            if (value >= ret_size)
                return false;
            memcpy(ret, line + n + 2, value);
            ret[value] = 0;
            return true;
        }
        line = end ? end + 1 : NULL;
    }
    return false;
}

/* ---- Callbacks of curl ----------------------------------------------------------------------------------------------
 */
static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_call *call = OBJ_CAST(arg, struct http_call, HTTP_CALL_MAGIC);
    size_t len = size * count;
    str_add_bytes(&call->response_body, bytes, len);
    if (call->response_body.is_over) {
        call->is_over = true;
        return 0; /* ends the transfer */
    }
    return len;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_call *call = OBJ_CAST(arg, struct http_call, HTTP_CALL_MAGIC);
    size_t len = size * count, end = len;
    while (end && (bytes[end - 1] == '\r' || bytes[end - 1] == '\n'))
        end--;
    if (end >= 5 && memcmp(bytes, "HTTP/", 5) == 0) { /* also after "100 Continue": only the last block counts */
        str_clear(&call->response_headers);
        call->received_boot_ms = env_boot_ms(call->client->env);
        return len;
    }
    const char *colon = end ? memchr(bytes, ':', end) : NULL;
    if (!colon || bytes[0] == ' ' || bytes[0] == '\t')
        return len;
    size_t name = (size_t)(colon - bytes);
    for (size_t i = 0; i < name; i++)
        if (bytes[i] >= 'A' && bytes[i] <= 'Z')
            bytes[i] = (char)(bytes[i] + 32);
    const char *value = colon + 1;
    while (value < bytes + end && (*value == ' ' || *value == '\t'))
        value++;
    str_add_bytes(&call->response_headers, bytes, name);
    str_add(&call->response_headers, ": ");
    str_add_bytes(&call->response_headers, value, (size_t)(bytes + end - value));
    str_add_char(&call->response_headers, '\n');
    if (call->response_headers.is_over) {
        call->is_over = true;
        return 0;
    }
    return len;
}

static int on_start(void *arg, char *to UNUSED, char *from UNUSED, int to_port UNUSED, int from_port UNUSED)
{
    struct http_call *call = OBJ_CAST(arg, struct http_call, HTTP_CALL_MAGIC);
    if (call->starts)
        call->starts++;
    if (call->starts || (call->may_start && !call->may_start(call->arg)))
        return CURL_PREREQFUNC_ABORT;
    call->starts = 1;
    call->is_new_connection = call->dials > 0;
    call->sent_boot_ms = env_boot_ms(call->client->env);
    return CURL_PREREQFUNC_OK;
}

/* Link-local addresses hand out the machine's own credentials (169.254.169.254, fd00:ec2::254). We never need them, and
 * a name that somebody else resolves must not lead there. */
static bool is_link_local(const struct sockaddr *address)
{
    unsigned char bytes[16];
    if (address->sa_family == AF_INET) {
        memcpy(bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        return bytes[0] == 169 && bytes[1] == 254;
    }
    if (address->sa_family != AF_INET6)
        return false;
    memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(bytes, mapped, 12) == 0)
        return bytes[12] == 169 && bytes[13] == 254;
    return (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||
           (bytes[0] == 0xfd && bytes[1] == 0 && bytes[2] == 0x0e && bytes[3] == 0xc2);
}

static curl_socket_t on_open(void *arg, curlsocktype purpose UNUSED, struct curl_sockaddr *address)
{
    struct http_call *call = OBJ_CAST(arg, struct http_call, HTTP_CALL_MAGIC);
    if (is_link_local(&address->addr)) {
        call->is_link_local = true;
        return CURL_SOCKET_BAD;
    }
    call->dials++;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- Before ---------------------------------------------------------------------------------------------------------
 */
/* "scheme://host:port" as curl itself reads the URL, so that gate and dialling cannot disagree. */
static int origin_of(const char *url, char *ret, size_t ret_size, bool *ret_is_loopback)
{
    CURLU *u = curl_url();
    ASSERT(u);
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    bool ok = strlen(url) <= HTTP_URL_BYTES_MAX && !curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) &&
              !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) && !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
              !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
              curl_url_get(u, CURLUPART_USER, &user, 0) &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    if (ok) {
        for (char *p = host; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p + 32);
        int n = snprintf(ret, ret_size, "%s://%s:%s", scheme, host, port);
        ok = n > 0 && (size_t)n < ret_size;
        *ret_is_loopback =
            strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(u);
    return ok ? 0 : -1;
}

static bool is_clean(const char *text, const char *not_these)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || strchr(not_these, *p))
            return *p == '\t' && !strchr(not_these, '\t');
    return true;
}

static int add_headers(struct http_call *call, const struct http_request *request, struct err *err)
{
    /* What curl would add on its own is taken out: what is sent is what the caller wrote. */
    static const char *const unwanted[] = {"Expect", "Accept", "Content-Type", "User-Agent"};
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *h = &request->headers[i];
        if (!*h->name || !is_clean(h->name, "\t :;") || !is_clean(h->value, ""))
            return err_set(err, ERR_INTERNAL, "a request header may not hold control characters: '%.40s'", h->name);
        AUTO_STR struct str line;
        str_init(&line, 16384);
        /* curl's own notation: "Name;" sends an empty value where "Name:" would remove the header. */
        str_addf(&line, *h->value ? "%s: %s" : "%s;%s", h->name, h->value);
        if (line.is_over)
            return err_set(err, ERR_TOO_LARGE, "a request header is over 16 KiB: '%.40s'", h->name);
        call->headers = curl_slist_append(call->headers, line.data);
        ASSERT(call->headers);
    }
    for (size_t k = 0; k < ARRAY_LEN(unwanted); k++) {
        bool is_given = false;
        for (size_t i = 0; i < request->header_count; i++)
            is_given = is_given || strcasecmp(request->headers[i].name, unwanted[k]) == 0;
        char line[32];
        (void)snprintf(line, sizeof line, "%s:", unwanted[k]);
        if (!is_given) {
            call->headers = curl_slist_append(call->headers, line);
            ASSERT(call->headers);
        }
    }
    return 0;
}

static void set_method(struct http_call *call, const struct http_request *request)
{
    CURL *easy = call->easy;
    bool has_body = call->body_bytes > 0 || strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0;
    if (strcmp(request->method, "HEAD") == 0) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (has_body) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body); /* ours: not copied again */
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_bytes);
    } else {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    if (strcmp(request->method, "HEAD") != 0)
        (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_wire(struct http_call *call, const struct http_request *request, bool is_loopback)
{
    CURL *easy = call->easy;
    uint32_t connect_ms = request->connect_timeout_ms ? request->connect_timeout_ms : HTTP_CONNECT_MS_DEFAULT;
    (void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)(connect_ms < call->timeout_ms ? connect_ms : call->timeout_ms));
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_start);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    if (call->client->ca_file)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, call->client->ca_file);
    /* A proxy would dial addresses that the gate never saw. Without a gate the usual proxy variables hold, but not for
     * this machine. */
    if (call->client->gate || is_loopback)
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

void http_call_prepare(struct http_call *call, const struct http_request *request)
{
    str_init(&call->response_headers, HTTP_HEADERS_BYTES_MAX);
    str_init(&call->response_body, request->response_bytes_max);
    call->timeout_ms = request->timeout_ms ? request->timeout_ms : HTTP_TIMEOUT_MS_DEFAULT;
    char origin[512];
    bool is_loopback = false;
    if (origin_of(request->url, origin, sizeof origin, &is_loopback)) {
        (void)err_set(&call->refusal, ERR_SYNTAX, "not a usable http or https URL");
        return;
    }
    if (call->client->gate && !call->client->gate(call->client->gate_arg, origin)) {
        (void)err_set(&call->refusal, ERR_ENDPOINT_CLOSED, "%s is not among the addresses that may be dialled", origin);
        return;
    }
    if (!is_clean(request->method, "\t ") || add_headers(call, request, &call->refusal)) {
        if (!call->refusal.code)
            (void)err_set(&call->refusal, ERR_INTERNAL, "not a usable HTTP method");
        return;
    }
    call->body = mem_dup_bytes(request->body ? request->body : "", request->body ? request->body_bytes : 0);
    call->body_bytes = request->body ? request->body_bytes : 0;
    call->easy = curl_easy_init();
    ASSERT(call->easy);
    set_wire(call, request, is_loopback);
    set_method(call, request);
}

/* ---- After ----------------------------------------------------------------------------------------------------------
 */
/* No byte of the request can have been read by the other side: it never began, or it began once on a connection of its
 * own and the system took nothing. A kept connection is not believed: curl's counters may have started over. */
static bool is_proven_unsent(struct http_call *call)
{
    if (call->starts == 0)
        return true;
    long request_bytes = 1;
    (void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    return call->starts == 1 && call->is_new_connection && request_bytes == 0;
}

static void describe(const struct http_call *call, CURLcode code, struct err *err)
{
    const char *detail = call->curl_error[0] ? call->curl_error : curl_easy_strerror(code);
    if (call->is_link_local)
        (void)err_set(err, ERR_ENDPOINT_CLOSED, "that name leads to a link-local address, which is never dialled");
    else if (call->is_over)
        (void)err_set(err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", call->response_body.max);
    else if (code == CURLE_OPERATION_TIMEDOUT && call->starts)
        (void)err_set(err, ERR_IO, "no answer within %u ms", call->timeout_ms);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        (void)err_set(err, ERR_IO, "no connection in time");
    else if (call->starts > 1)
        (void)err_set(err, ERR_IO, "the kept connection was closed before an answer came");
    else
        (void)err_set(err, ERR_IO, "%s", detail);
}

int http_call_result(struct http_call *call, CURLcode code, struct err *err)
{
    long status = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->status = status > 0 && status < 1000 ? (int)status : 0;
    if (!call->received_boot_ms)
        call->received_boot_ms = env_boot_ms(call->client->env);
    if (code == CURLE_OK && call->status >= 200 && !call->is_over)
        return 0;
    describe(call, code, err);
    err->applied = is_proven_unsent(call) ? APPLIED_NO : APPLIED_MAYBE;
    return -1;
}

void http_call_free(struct http_call *call)
{
    if (call->easy)
        curl_easy_cleanup(call->easy);
    /* Session tokens go out in headers and come back in bodies: none is left behind in freed memory. */
    for (struct curl_slist *h = call->headers; h; h = h->next)
        secret_wipe(h->data, strlen(h->data));
    curl_slist_free_all(call->headers);
    if (call->body)
        secret_wipe(call->body, call->body_bytes);
    if (call->response_body.data)
        secret_wipe(call->response_body.data, call->response_body.len);
    mem_free(call->body);
    str_done(&call->response_headers);
    str_done(&call->response_body);
    call->magic = 0;
    mem_free(call);
}

/* Sets up TLS with the host's name checked, says how a connection is greeted, and makes one that blocks. */
#include "common/redis/redis_target.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/base/str.h"
#include "common/codec/file.h"

#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

static int read_password_file(struct redis_target *t, const char *path, struct err *err)
{
    char *text = NULL;
    size_t len = 0;
    if (file_read(path, 4096, &text, &len, err))
        return err_wrap(err, "Redis password file");
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        text[--len] = 0;
    mem_free(t->password);
    t->password = text;
    return 0;
}

static int tls_fault(struct err *err, const char *what)
{
    char text[160];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    return err_set(err, ERR_CONFIG, "Redis TLS: %s: %s", what, text);
}

static int tls_init(struct redis_target *t, const struct redis_options *o, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return tls_fault(err, "setting up");
    t->tls = ctx;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION))
        return tls_fault(err, "setting up");
    int has_ca = o->ca_file && *o->ca_file ? SSL_CTX_load_verify_locations(ctx, o->ca_file, NULL)
                                           : SSL_CTX_set_default_verify_paths(ctx);
    if (has_ca != 1)
        return tls_fault(err, "reading the CA certificates");
    if (!o->cert_file || !*o->cert_file)
        return 0;
    const char *key = o->key_file && *o->key_file ? o->key_file : o->cert_file;
    if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return tls_fault(err, "reading the client certificate");
    return 0;
}

/* hiredis writes without MSG_NOSIGNAL, so a server that goes away would kill us. A handler of the program's own stays.
 */
static void ignore_sigpipe(void)
{
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

int redis_target_init(struct redis_target *t, const struct redis_options *options, struct err *err)
{
    bool is_tls = false;
    ignore_sigpipe();
    *t = (struct redis_target){.client_name = mem_dup(options->client_name)};
    int rc = redis_url_read(t, options->url ? options->url : "", &is_tls, err);
    if (!rc && options->password_file && *options->password_file)
        rc = read_password_file(t, options->password_file, err);
    if (!rc && is_tls)
        rc = tls_init(t, options, err);
    if (rc)
        redis_target_done(t);
    return rc;
}

void redis_target_done(struct redis_target *t)
{
    if (t->password)
        secret_wipe(t->password, strlen(t->password));
    mem_free(t->path);
    mem_free(t->master);
    mem_free(t->user);
    mem_free(t->password);
    mem_free(t->client_name);
    SSL_CTX_free(t->tls);
    *t = (struct redis_target){0};
}

bool redis_address_eq(const struct redis_address *a, const struct redis_address *b)
{
    return a->port == b->port && str_eq(a->host, b->host);
}

bool redis_address_read(const char *text, size_t len, struct redis_address *ret)
{
    AUTO_FREE char *copy = mem_dup_bytes(text, len);
    char *colon = strrchr(copy, ':');
    uint64_t port;
    if (!colon || (size_t)(colon - copy) >= sizeof ret->host || !str_to_u64(colon + 1, 65535, &port) || !port)
        return false;
    (void)snprintf(ret->host, sizeof ret->host, "%.*s", (int)(colon - copy), copy);
    ret->port = (int)port;
    return true;
}

void redis_target_options(const struct redis_target *t, const struct redis_address *at, uint32_t timeout_ms,
                          redisOptions *ret)
{
    static const struct timeval reply = {.tv_sec = REDIS_REPLY_MS / 1000};
    static _Thread_local struct timeval connect;
    connect = (struct timeval){.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
    *ret = (redisOptions){.connect_timeout = &connect, .command_timeout = &reply};
    if (t->path)
        REDIS_OPTIONS_SET_UNIX(ret, t->path);
    else
        REDIS_OPTIONS_SET_TCP(ret, at->host, at->port);
}

void redis_target_watch(const struct redis_target *t, redisContext *ctx)
{
    if (t->path)
        return;
    (void)redisEnableKeepAliveWithInterval(ctx, REDIS_KEEPALIVE_S);
    (void)redisSetTcpUserTimeout(ctx, REDIS_REPLY_MS);
}

void redis_target_discard(redisContext *ctx)
{
    static const struct linger now = {.l_onoff = 1};
    (void)setsockopt(ctx->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

int redis_target_tls(const struct redis_target *t, const struct redis_address *at, redisContext *ctx, struct err *err)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (!t->tls)
        return 0;
    SSL *ssl = SSL_new(t->tls);
    if (!ssl)
        return tls_fault(err, "setting up");
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    bool is_address = inet_pton(AF_INET, at->host, bytes) == 1 || inet_pton(AF_INET6, at->host, bytes) == 1;
    int named = is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, at->host) : SSL_set1_host(ssl, at->host);
    if (named == 1 && !is_address)
        named = (int)SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)at->host);
    if (named != 1) {
        SSL_free(ssl);
        return tls_fault(err, "naming the host");
    }
    /* hiredis owns `ssl` from here on success only. */
    ASSERT(ctx);
    if (redisInitiateSSL(ctx, ssl) != REDIS_OK) {
        if (!ctx->privctx)
            SSL_free(ssl);
        return err_set(err, ERR_REDIS, "Redis TLS: %s", ctx->errstr);
    }
    return 0;
}

/* The Sentinels are offered the same user and password; one that asks for none refuses them, and goes on. */
size_t redis_target_greeting(const struct redis_target *t, enum redis_part part, char db_text[16],
                             struct redis_command ret[REDIS_GREETING_MAX])
{
    size_t n = 0;
    const char *user = t->user ? t->user : "", *password = t->password ? t->password : "";
    const char *client_name = t->client_name ? t->client_name : "";
    bool is_node = part == REDIS_PART_NODE;
    (void)snprintf(db_text, 16, "%u", t->db);
    if (*password && *user)
        ret[n++] = (struct redis_command){3, {"AUTH", user, password}, !is_node};
    else if (*password)
        ret[n++] = (struct redis_command){2, {"AUTH", password}, !is_node};
    if (t->db && is_node)
        ret[n++] = (struct redis_command){2, {"SELECT", db_text}, false};
    if (*client_name && is_node)
        ret[n++] = (struct redis_command){3, {"CLIENT", "SETNAME", client_name}, false};
    ret[n++] = (struct redis_command){1, {"PING"}, false};
    if (t->kind == REDIS_SENTINEL && is_node)
        ret[n++] = (struct redis_command){1, {"ROLE"}, false};
    return n;
}

int redis_target_check(const struct redis_command *command, const redisReply *reply, struct err *err)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return command->is_optional ? 0 : err_set(err, ERR_REDIS, "%s: %.200s", command->argv[0], reply->str);
    if (!str_eq(command->argv[0], "ROLE"))
        return 0;
    const redisReply *role = reply->type == REDIS_REPLY_ARRAY && reply->elements ? reply->element[0] : NULL;
    if (role && role->type == REDIS_REPLY_STRING && str_eq(role->str, "master"))
        return 0;
    return err_set(err, ERR_REDIS, "the Sentinels name a server that is no master (yet)");
}

static int greet_blocking(const struct redis_target *t, enum redis_part part, redisContext *ctx, struct err *err)
{
    struct redis_command commands[REDIS_GREETING_MAX];
    char db[16];
    size_t count = redis_target_greeting(t, part, db, commands);
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = redisCommandArgv(ctx, commands[i].argc, (const char **)commands[i].argv, NULL);
        if (!reply)
            return err_set(err, ERR_REDIS, "%s: %s", commands[i].argv[0], ctx->errstr);
        int rc = redis_target_check(&commands[i], reply, err);
        freeReplyObject(reply);
        if (rc)
            return -1;
    }
    return 0;
}

redisContext *redis_target_connect(const struct redis_target *t, const struct redis_address *at, enum redis_part part,
                                   uint32_t timeout_ms, struct err *err)
{
    redisOptions o;
    redis_target_options(t, at, timeout_ms, &o);
    o.command_timeout = o.connect_timeout;
    redisContext *ctx = redisConnectWithOptions(&o);
    int rc = 0;
    if (!ctx || ctx->err)
        rc = err_set(err, ERR_REDIS, "connecting to %s: %s", t->path ? t->path : at->host,
                     ctx ? ctx->errstr : "no memory");
    else
        redis_target_watch(t, ctx);
    if (!rc)
        rc = redis_target_tls(t, at, ctx, err);
    if (!rc)
        rc = greet_blocking(t, part, ctx, err);
    if (!rc)
        return ctx;
    if (ctx)
        redisFree(ctx);
    return NULL;
}

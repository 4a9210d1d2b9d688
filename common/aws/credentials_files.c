/* Where the operator's own credentials come from: environment, then AWS's shared files. A long-running service needs a
 * chain that can be explained, so what this one does not read is named in the error instead of skipped in silence.
 *
 * Invariant: no value of a key ever reaches an error text. */
#include "common/aws/credentials.h"

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/codec/file.h"
#include "common/codec/ini.h"

#include <stdio.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define PROFILES_DEEP_MAX 8U
#define VALUE_BYTES_MAX 4096U

/* One profile as both files together tell it; the credentials file wins. */
struct profile {
    char *name;
    char *access_key_id, *secret_key, *session_token;
    char *role_arn, *source_profile, *credential_source, *external_id, *role_session_name, *duration_seconds;
    char *unsupported; /* the name of a key that asks for what we do not do */
    bool is_found;
    bool is_config; /* section names are "profile x" there */
};

static void profile_done(struct profile *p)
{
    char **fields[] = {&p->access_key_id,    &p->secret_key,        &p->session_token, &p->role_arn,
                       &p->source_profile,   &p->credential_source, &p->external_id,   &p->role_session_name,
                       &p->duration_seconds, &p->unsupported,       &p->name};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (*fields[i])
            secret_wipe(*fields[i], strlen(*fields[i]));
        mem_free(*fields[i]);
        *fields[i] = NULL;
    }
}
#define AUTO_PROFILE CLEANUP(profile_done)

static const char *const unsupported_keys[] = {"mfa_serial",    "web_identity_token_file", "sso_session",
                                               "sso_start_url", "sso_account_id",          "credential_process",
                                               "login_session"};

static bool is_this_section(const struct profile *p, const char *section)
{
    if (str_eq(section, p->name) && (!p->is_config || str_eq(section, "default")))
        return true;
    return p->is_config && str_starts(section, "profile ") && str_eq(section + 8 + strspn(section + 8, " \t"), p->name);
}

static int on_key(void *arg, const char *section, const char *key, const char *value, uint32_t line, struct err *err)
{
    struct profile *p = arg;
    if (!is_this_section(p, section))
        return 0;
    p->is_found = true;
    const struct {
        const char *name;
        char **field;
    } known[] = {
        {"aws_access_key_id", &p->access_key_id},   {"aws_secret_access_key", &p->secret_key},
        {"aws_session_token", &p->session_token},   {"role_arn", &p->role_arn},
        {"source_profile", &p->source_profile},     {"credential_source", &p->credential_source},
        {"external_id", &p->external_id},           {"role_session_name", &p->role_session_name},
        {"duration_seconds", &p->duration_seconds},
    };
    if (strlen(value) > VALUE_BYTES_MAX)
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "line %u: the value of %.40s is too long", line, key);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(key, known[i].name) && !*known[i].field)
            *known[i].field = mem_dup(value);
    for (size_t i = 0; i < ARRAY_LEN(unsupported_keys); i++)
        if (str_eq(key, unsupported_keys[i]) && !p->unsupported)
            p->unsupported = mem_dup(key);
    return 0;
}

static int read_into(struct profile *p, const char *path, bool is_config, struct err *err)
{
    AUTO_FREE char *bytes = NULL;
    size_t len = 0;
    if (file_read(path, FILE_BYTES_MAX, &bytes, &len, err))
        return err_wrap(err, "credentials");
    p->is_config = is_config;
    int rc = ini_read(bytes, len, on_key, p, err);
    secret_wipe(bytes, len);
    if (rc) {
        (void)err_wrap(err, "%s", path);
        err->code = ERR_OPERATOR_CREDENTIALS;
        err->owner = OWNER_OPERATOR;
        err->retry = RETRY_ASK;
    }
    return rc;
}

/* Path from a variable or below the home folder; NULL when there is no such file. */
static char *shared_path(const char *variable, const char *below_home)
{
    const char *set = getenv(variable);
    if (set && *set)
        return mem_dup(set);
    const char *home = getenv("HOME");
    if (!home || !*home)
        return NULL;
    AUTO_FREE char *path = mem_printf("%s/%s", home, below_home);
    return access(path, F_OK) == 0 ? TAKE(path) : NULL;
}

static int profile_load(const char *name, struct profile *ret, struct err *err)
{
    *ret = (struct profile){.name = mem_dup(name)};
    AUTO_FREE char *credentials = shared_path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    AUTO_FREE char *config = shared_path("AWS_CONFIG_FILE", ".aws/config");
    if (credentials && read_into(ret, credentials, false, err))
        return -1;
    if (config && read_into(ret, config, true, err))
        return -1;
    return 0;
}

/* ---- Keys -----------------------------------------------------------------------------------------------------------
 */
static bool is_key_id(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!(text[i] >= 'A' && text[i] <= 'Z') && !(text[i] >= 'a' && text[i] <= 'z') &&
            !(text[i] >= '0' && text[i] <= '9') && text[i] != '_')
            return false;
    return n >= 16 && n <= 128;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    return true;
}

static int identity_from(const char *id, const char *secret, const char *token, const char *where,
                         struct aws_identity **ret, struct err *err)
{
    if (!id || !*id)
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "%s: the secret key is given without its access key id", where);
    if (!secret || !*secret)
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "%s: the access key id is given without its secret key", where);
    if (!is_key_id(id))
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "%s: that is not an access key id (16 to 128 letters and digits)",
                       where);
    if (!is_printable(secret) || (token && !is_printable(token)))
        return err_set(err, ERR_OPERATOR_CREDENTIALS,
                       "%s: the secret key or session token holds spaces or odd characters", where);
    *ret = aws_identity_new(id, secret, token);
    return 0;
}

static int from_environment(struct aws_identity **ret, bool *ret_found, struct err *err)
{
    const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    *ret_found = (id && *id) || (secret && *secret);
    return *ret_found ? identity_from(id, secret, getenv("AWS_SESSION_TOKEN"), "environment", ret, err) : 0;
}

static bool copy_text(char *to, size_t size, const char *from)
{
    size_t n = from ? strlen(from) : 0;
    if (n >= size)
        return false;
    if (n)
        memcpy(to, from, n);
    to[n] = 0;
    return true;
}

/* ---- Profiles -------------------------------------------------------------------------------------------------------
 */
static int role_from(const struct profile *p, struct aws_profile_role *ret, struct err *err)
{
    uint64_t seconds = 0;
    if (p->duration_seconds && (!str_to_u64(p->duration_seconds, 43200, &seconds) || seconds < 900))
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%s': duration_seconds is not 900 to 43200", p->name);
    if (!str_starts(p->role_arn, "arn:aws:iam::") || !strstr(p->role_arn, ":role/"))
        return err_set(err, ERR_OPERATOR_CREDENTIALS,
                       "profile '%s': role_arn is not the ARN of a role in the partition `aws`", p->name);
    if (!copy_text(ret->role_arn, sizeof ret->role_arn, p->role_arn) ||
        !copy_text(ret->external_id, sizeof ret->external_id, p->external_id) ||
        !copy_text(ret->session_name, sizeof ret->session_name, p->role_session_name))
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%s': a value is too long", p->name);
    ret->duration_s = (uint32_t)seconds;
    return 0;
}

static int check_role_profile(const struct profile *p, struct err *err)
{
    if (p->source_profile && p->credential_source)
        return err_set(err, ERR_OPERATOR_CREDENTIALS,
                       "profile '%s': source_profile and credential_source exclude each other", p->name);
    if (!p->source_profile && !p->credential_source)
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%s': role_arn needs source_profile", p->name);
    if (p->credential_source && !str_eq(p->credential_source, "Environment"))
        return err_set(
            err, ERR_OPERATOR_CREDENTIALS,
            "profile '%s': credential_source can only be Environment here; instance and container credentials are not "
            "supported",
            p->name);
    return 0;
}

/* Follows source_profile from a profile with a role to the static keys. All names are kept, so that a circle is told as
 * such even where a chain of roles would be refused anyway. */
static int source_keys(const struct profile *first, struct aws_identity **ret, struct err *err)
{
    char *seen[PROFILES_DEEP_MAX] = {0};
    size_t count = 0;
    int rc = 0;
    bool is_chain = false;
    AUTO_FREE char *next = mem_dup(first->source_profile);
    seen[count++] = mem_dup(first->name);
    while (!rc && !*ret) {
        AUTO_PROFILE struct profile p = {0};
        bool is_self = str_eq(next, seen[count - 1]);
        rc = profile_load(next, &p, err);
        bool has_keys = p.access_key_id || p.secret_key;
        for (size_t i = 0; !rc && i < count; i++)
            if (str_eq(seen[i], next) && !(is_self && has_keys))
                rc = err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%s': source_profile goes round in a circle",
                             first->name);
        if (!rc && !p.is_found)
            rc = err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%s', named as source_profile, does not exist", next);
        if (!rc && p.unsupported && !has_keys)
            rc = err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%s': %s is not supported", next, p.unsupported);
        if (!rc && p.role_arn && p.source_profile && !is_self && !has_keys) {
            is_chain = true;
            if (count == PROFILES_DEEP_MAX)
                rc = err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%s': too many profiles in a row", first->name);
            else
                seen[count++] = mem_dup(next);
            mem_free(next);
            next = mem_dup(p.source_profile);
        } else if (!rc && is_chain) {
            rc = err_set(err, ERR_OPERATOR_CREDENTIALS,
                         "profile '%s': a chain of roles is not supported; one role_arn is", first->name);
        } else if (!rc) {
            rc = identity_from(p.access_key_id, p.secret_key, p.session_token, "the source profile", ret, err);
        }
    }
    for (size_t i = 0; i < count; i++)
        mem_free(seen[i]);
    return rc;
}

static int from_role_profile(const struct profile *p, struct aws_identity **ret, struct aws_profile_role *ret_role,
                             struct err *err)
{
    if (check_role_profile(p, err) || role_from(p, ret_role, err))
        return -1;
    if (p->source_profile)
        return source_keys(p, ret, err);
    bool found = false;
    if (from_environment(ret, &found, err))
        return -1;
    return found ? 0
                 : err_set(err, ERR_OPERATOR_CREDENTIALS,
                           "profile '%s': credential_source is Environment, where no key is", p->name);
}

static int no_credentials(const char *profile, struct err *err)
{
    static const char *const others[] = {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                         "AWS_CONTAINER_CREDENTIALS_FULL_URI"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (getenv(others[i]))
            return err_set(
                err, ERR_OPERATOR_CREDENTIALS,
                "%s is set, which is not supported: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile",
                others[i]);
    return err_set(err, ERR_OPERATOR_CREDENTIALS,
                   "no AWS credentials: neither AWS_ACCESS_KEY_ID is set nor does profile '%.60s' hold keys (instance "
                   "credentials are "
                   "not supported)",
                   profile);
}

int aws_credentials_default(const char *profile, struct aws_identity **ret, struct aws_profile_role *ret_role,
                            struct err *err)
{
    struct aws_profile_role ignored;
    struct aws_profile_role *role = ret_role ? ret_role : &ignored;
    *role = (struct aws_profile_role){0};
    *ret = NULL;
    bool is_named = profile && *profile, found = false;
    if (!is_named) { /* a profile that is asked for by name goes before the environment */
        if (from_environment(ret, &found, err))
            return -1;
        if (found)
            return 0;
        profile = getenv("AWS_PROFILE");
        if (!profile || !*profile)
            profile = getenv("AWS_DEFAULT_PROFILE");
        is_named = profile && *profile;
    }
    const char *name = is_named ? profile : "default";
    AUTO_PROFILE struct profile p = {0};
    if (profile_load(name, &p, err))
        return -1;
    if (!p.is_found && is_named)
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "there is no profile '%.60s' in the shared files", name);
    if (p.unsupported && (p.role_arn || !p.access_key_id))
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%.60s': %s is not supported", name, p.unsupported);
    if (p.role_arn) {
        int rc = from_role_profile(&p, ret, role, err);
        if (!rc && !ret_role) {
            aws_identity_unref(TAKE(*ret));
            rc = err_set(err, ERR_OPERATOR_CREDENTIALS, "profile '%.60s' asks for a role, which does not work here",
                         name);
        }
        return rc;
    }
    if (p.access_key_id || p.secret_key)
        return identity_from(p.access_key_id, p.secret_key, p.session_token, "the profile", ret, err);
    return no_credentials(name, err);
}

int aws_credentials_file(const char *path, const char *section, struct aws_identity **ret, struct err *err)
{
    *ret = NULL;
    AUTO_PROFILE struct profile p = {.name = mem_dup(section)};
    if (read_into(&p, path, false, err))
        return -1;
    if (!p.is_found)
        return err_set(err, ERR_OPERATOR_CREDENTIALS, "%s has no section [%.60s]", path, section);
    return identity_from(p.access_key_id, p.secret_key, p.session_token, "the credentials file", ret, err);
}

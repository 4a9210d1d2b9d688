/* What callers may do: identity policies (Allow, Deny, wildcards, NotAction, NotResource, the usual conditions),
 * session policies, managed policies known by name, and role trusts. Enough that a caller without a right is refused
 * naming it.
 *
 * Invariant: an explicit Deny always wins; a condition on a key that we do not know never lets an Allow through. */
#include "sim_core.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MAX 20000u

static struct sim_map parsed;

static void drop_json(void *value)
{
    json_decref(value);
}

json_t *sim_policy_parse(const char *text)
{
    json_t *found = sim_map_get(&parsed, text);
    if (found)
        return found;
    found = json_loads(text, 0, NULL);
    if (!json_is_object(found)) {
        json_decref(found);
        return NULL;
    }
    if (parsed.used > CACHE_MAX)
        sim_map_clear(&parsed, drop_json);
    sim_map_put(&parsed, text, found);
    return found;
}

/* ---- managed policies by name ---- */

static const struct {
    const char *name, *document;
} managed[] = {
#define ALLOW(actions) "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[" actions "],\"Resource\":\"*\"}]}"
    {"AdministratorAccess", ALLOW("\"*\"")},
    {"PowerUserAccess", "{\"Statement\":[{\"Effect\":\"Allow\",\"NotAction\":[\"iam:*\",\"organizations:*\",\"account:*"
                        "\"],\"Resource\":\"*\"},"
                        "{\"Effect\":\"Allow\",\"Action\":[\"organizations:DescribeOrganization\",\"iam:ListRoles\"],"
                        "\"Resource\":\"*\"}]}"},
    {"ReadOnlyAccess", ALLOW("\"*:Get*\",\"*:List*\",\"*:Describe*\",\"*:Lookup*\",\"iam:Simulate*\"")},
    {"ViewOnlyAccess", ALLOW("\"*:List*\",\"*:Describe*\"")},
    {"SecurityAudit",
     ALLOW("\"iam:Get*\",\"iam:List*\",\"organizations:List*\",\"organizations:Describe*\",\"s3:GetBucket*\","
           "\"s3:ListAllMyBuckets\",\"cloudtrail:*\"")},
    {"IAMFullAccess", ALLOW("\"iam:*\",\"organizations:DescribeOrganization\",\"organizations:List*\"")},
    {"IAMReadOnlyAccess", ALLOW("\"iam:Get*\",\"iam:List*\",\"iam:Generate*\",\"iam:Simulate*\"")},
    {"AmazonS3FullAccess", ALLOW("\"s3:*\"")},
    {"AWSOrganizationsReadOnlyAccess", ALLOW("\"organizations:Describe*\",\"organizations:List*\"")},
    {"AWSOrganizationsFullAccess", ALLOW("\"organizations:*\"")},
    {"AWSSavingsPlansReadOnlyAccess", ALLOW("\"savingsplans:Describe*\"")},
    {"Billing",
     ALLOW("\"cur:*\",\"tax:*\",\"billing:*\",\"invoicing:*\",\"ce:*\",\"budgets:*\",\"account:Get*\",\"payments:*\"")},
#undef ALLOW
};

static const char *managed_document(const char *arn)
{
    const char *name = strrchr(arn, '/');
    if (!name || !strstr(arn, ":iam::aws:policy/"))
        return NULL;
    for (size_t i = 0; i < sizeof managed / sizeof managed[0]; i++)
        if (strcmp(managed[i].name, name + 1) == 0)
            return managed[i].document;
    return NULL;
}

/* Is it a managed policy of AWS that we know, or one whose name AWS could have? Attaching anything else is
 * NoSuchEntity. */
bool sim_policy_is_managed(const char *arn)
{
    return strncmp(arn, "arn:aws:iam::aws:policy/", 24) == 0 && arn[24] != '\0';
}

const char *sim_policy_managed_document(const char *arn)
{
    const char *document = managed_document(arn);
    return document ? document : "{\"Version\":\"2012-10-17\",\"Statement\":[]}";
}

static const char *document_of(const json_t *iam, const char *arn)
{
    const char *document = managed_document(arn);
    if (document)
        return document;
    const char *name = strrchr(arn, '/');
    const json_t *policy = name ? json_object_get(json_object_get(iam, "policies"), name + 1) : NULL;
    const char *version = json_string_value(json_object_get(policy, "DefaultVersionId"));
    const json_t *versions = json_object_get(policy, "versions");
    return version ? json_string_value(json_object_get(json_object_get(versions, version), "document")) : NULL;
}

/* ---- matching ---- */

static bool glob(const char *pattern, const char *text, bool ignore_case)
{
    const char *star = NULL, *from = NULL;
    while (*text) {
        char p = *pattern, t = *text;
        if (ignore_case) {
            p = (char)tolower((unsigned char)p);
            t = (char)tolower((unsigned char)t);
        }
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern && (*pattern == '?' || p == t)) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* A word of a policy is one text or a list of texts. */
static bool any_matches(const json_t *words, const char *text, bool ignore_case)
{
    if (json_is_string(words))
        return glob(json_string_value(words), text, ignore_case);
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (word && glob(word, text, ignore_case))
            return true;
    }
    return false;
}

struct facts { /* what conditions can ask about */
    const char *principal_arn, *account, *external_id, *region;
    struct sim_request *rq; /* NULL: a simulation or a trust */
    const json_t *context;  /* of a simulation: {"key":["value"]} */
};

static const char *user_name(const char *principal_arn)
{
    const char *slash = strrchr(principal_arn, '/');
    return strstr(principal_arn, ":user/") && slash ? slash + 1 : NULL;
}

static const char *context_fact(const json_t *context, const char *key)
{
    const char *name;
    json_t *values;
    json_object_foreach ((json_t *)(uintptr_t)context, name, values)
        if (strcasecmp(name, key) == 0)
            return json_string_value(json_array_get(values, 0));
    return NULL;
}

static const char *fact_of(const struct facts *f, const char *key)
{
    const char *told = f->context ? context_fact(f->context, key) : f->rq ? sim_request_fact(f->rq, key) : NULL;
    if (told)
        return told;
    if (strcasecmp(key, "aws:PrincipalArn") == 0)
        return f->principal_arn;
    if (strcasecmp(key, "aws:username") == 0)
        return user_name(f->principal_arn);
    if (strcasecmp(key, "aws:PrincipalAccount") == 0 || strcasecmp(key, "aws:SourceAccount") == 0)
        return f->account;
    if (strcasecmp(key, "sts:ExternalId") == 0)
        return f->external_id;
    if (strcasecmp(key, "aws:RequestedRegion") == 0)
        return f->region;
    if (strcasecmp(key, "aws:SecureTransport") == 0) /* a simulation is no connection: it does not know */
        return f->context ? NULL : "true";
    return NULL;
}

/* ${aws:username} and other facts inside a resource. False: a fact is missing, so the resource names nothing. */
static bool fill_in(const char *pattern, const struct facts *f, char *ret, size_t room)
{
    size_t used = 0;
    for (const char *at = pattern; *at && used + 1 < room;) {
        const char *end = at[0] == '$' && at[1] == '{' ? strchr(at, '}') : NULL;
        if (!end) {
            ret[used++] = *at++;
            continue;
        }
        char key[100];
        (void)snprintf(key, sizeof key, "%.*s", (int)(end - at - 2), at + 2);
        const char *fact = fact_of(f, key);
        if (!fact)
            return false;
        used += (size_t)snprintf(ret + used, room - used, "%s", fact);
        at = end + 1;
    }
    ret[used < room ? used : room - 1] = '\0';
    return used < room;
}

static bool resource_matches(const json_t *words, const char *resource, const struct facts *f)
{
    size_t count = json_is_array(words) ? json_array_size(words) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_is_array(words) ? json_array_get(words, i) : words);
        char filled[700];
        if (word && fill_in(word, f, filled, sizeof filled) && glob(filled, resource, false))
            return true;
    }
    return false;
}

static bool one_condition(const char *operator, const char * key, const json_t *wanted, const struct facts *f)
{
    bool if_exists = strlen(operator) > 8 && strcmp(operator+ strlen(operator) - 8, "IfExists") == 0;
    bool negative = strstr(operator, "Not") != NULL;
    const char *fact = fact_of(f, key);
    if (strncmp(operator, "Null", 4) == 0)
        return any_matches(wanted, fact ? "false" : "true", true);
    if (!fact)
        return if_exists || negative;
    bool ignore_case = strstr(operator, "IgnoreCase") != NULL || strncmp(operator, "Bool", 4) == 0;
    /* StringEquals takes wildcards literally; our values hold none, so one matcher does for all. */
    return any_matches(wanted, fact, ignore_case) != negative;
}

static bool conditions_hold(const json_t *statement, const struct facts *f)
{
    const char *operator, * key;
    json_t *keys, *wanted;
    json_object_foreach (json_object_get(statement, "Condition"), operator, keys)
        json_object_foreach (keys, key, wanted)
            if (!one_condition(operator, key, wanted, f))
                return false;
    return true;
}

static bool statement_covers(const json_t *statement, const char *action, const char *resource, const struct facts *f)
{
    const json_t *actions = json_object_get(statement, "Action"),
                 *not_actions = json_object_get(statement, "NotAction");
    const json_t *resources = json_object_get(statement, "Resource");
    const json_t *not_resources = json_object_get(statement, "NotResource");
    if (actions ? !any_matches(actions, action, true) : !not_actions || any_matches(not_actions, action, true))
        return false;
    if (not_resources)
        return !resource_matches(not_resources, resource, f);
    return resources && resource_matches(resources, resource, f);
}

enum verdict { SILENT, ALLOWED, DENIED };

static enum verdict judge(const json_t *policy, const char *action, const char *resource, const struct facts *f)
{
    enum verdict verdict = SILENT;
    const json_t *statements = json_object_get(policy, "Statement");
    size_t count = json_is_array(statements) ? json_array_size(statements) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *statement = json_is_array(statements) ? json_array_get(statements, i) : statements;
        if (!statement_covers(statement, action, resource, f) || !conditions_hold(statement, f))
            continue;
        const char *effect = json_string_value(json_object_get(statement, "Effect"));
        if (effect && strcmp(effect, "Deny") == 0)
            return DENIED;
        if (effect && strcmp(effect, "Allow") == 0)
            verdict = ALLOWED;
    }
    return verdict;
}

struct judging {
    const json_t *iam;
    const char *action, *resource;
    const struct facts *facts;
    enum verdict sum;
    struct sim_reason *why;
};

/* One policy more. The first that denies is the one that AWS names. */
static void add_up(struct judging *j, const char *document, const char *arn, const char *source)
{
    const json_t *policy = document && j->sum != DENIED ? sim_policy_parse(document) : NULL;
    enum verdict one = policy ? judge(policy, j->action, j->resource, j->facts) : SILENT;
    if (one == DENIED) {
        j->why->is_explicit = true;
        (void)snprintf(j->why->policy, sizeof j->why->policy, "%s", arn);
        (void)snprintf(j->why->source, sizeof j->why->source, "%s", source);
    }
    if (one == DENIED || (one == ALLOWED && j->sum == SILENT))
        j->sum = one;
}

static void add_own(struct judging *j, const json_t *identity)
{
    const char *name;
    json_t *document;
    json_object_foreach (json_object_get(identity, "inline"), name, document)
        add_up(j, json_string_value(document), "", name);
    const json_t *attached = json_object_get(identity, "attached");
    for (size_t i = 0; i < json_array_size(attached); i++) {
        const char *arn = json_string_value(json_array_get(attached, i)), *slash = arn ? strrchr(arn, '/') : NULL;
        if (arn)
            add_up(j, document_of(j->iam, arn), arn, slash ? slash + 1 : arn);
    }
}

static void add_identity(struct judging *j, const json_t *identity)
{
    add_own(j, identity);
    const json_t *groups = json_object_get(identity, "groups");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const char *group = json_string_value(json_array_get(groups, i));
        const json_t *found = group ? json_object_get(json_object_get(j->iam, "groups"), group) : NULL;
        if (found)
            add_own(j, found);
    }
}

/* The user or role behind an ARN; *ret_root when it is the root user. */
static const json_t *identity_of(const json_t *iam, const char *arn, bool *ret_root)
{
    *ret_root = false;
    size_t bytes = strlen(arn);
    if (bytes > 5 && strcmp(arn + bytes - 5, ":root") == 0) {
        *ret_root = true;
        return NULL;
    }
    char name[128];
    const char *assumed = strstr(arn, ":assumed-role/");
    if (assumed) {
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(assumed + 14, "/"), assumed + 14);
        return json_object_get(json_object_get(iam, "roles"), name);
    }
    const char *last = strrchr(arn, '/');
    if (!last)
        return NULL;
    const char *section = strstr(arn, ":user/") ? "users" : strstr(arn, ":group/") ? "groups" : "roles";
    return json_object_get(json_object_get(iam, section), last + 1);
}

/* A permissions boundary allows nothing by itself; what it does not allow is refused. */
static void add_boundary(struct judging *j, const json_t *identity)
{
    const char *arn =
        json_string_value(json_object_get(json_object_get(identity, "PermissionsBoundary"), "PermissionsBoundaryArn"));
    const char *document = arn ? document_of(j->iam, arn) : NULL;
    if (!document || j->sum != ALLOWED)
        return;
    enum verdict one = judge(sim_policy_parse(document), j->action, j->resource, j->facts);
    if (one == ALLOWED)
        return;
    j->why->layer = "permissions boundary";
    j->why->is_explicit = one == DENIED;
    j->why->boundary_silent = true;
    (void)snprintf(j->why->policy, sizeof j->why->policy, "%s", one == DENIED ? arn : "");
    j->sum = one == DENIED ? DENIED : SILENT;
}

/* Service control policies hold for member accounts; the management account is never restricted by them. */
static void add_organization(struct judging *j, struct sim_world *w, const char *account)
{
    const char *id;
    json_t *policy;
    if (strcmp(account, w->account) == 0 || j->sum == DENIED)
        return;
    json_object_foreach (json_object_get(w->state, "policies"), id, policy) {
        const json_t *summary = json_object_get(policy, "PolicySummary");
        const char *type = json_string_value(json_object_get(summary, "Type"));
        const char *content = json_string_value(json_object_get(policy, "Content"));
        if (!type || strcmp(type, "SERVICE_CONTROL_POLICY") != 0 || !content ||
            json_array_size(json_object_get(policy, "targets")) == 0)
            continue;
        const json_t *document = sim_policy_parse(content);
        if (!document || judge(document, j->action, j->resource, j->facts) != DENIED)
            continue;
        const char *arn = json_string_value(json_object_get(summary, "Arn"));
        j->sum = DENIED;
        j->why->is_explicit = j->why->organization_deny = true;
        j->why->layer = "service control policy";
        (void)snprintf(j->why->policy, sizeof j->why->policy, "%s", arn ? arn : "");
        return;
    }
}

static enum verdict decide(struct sim_world *w, const struct sim_question *q, const struct facts *f,
                           struct sim_reason *why)
{
    bool root;
    const json_t *iam = sim_account_iam(w, q->account);
    const json_t *identity = identity_of(iam, q->principal_arn, &root);
    struct judging j = {.iam = iam, .action = q->action, .resource = q->resource, .facts = f, .why = why};
    *why = (struct sim_reason){.layer = "identity-based policy"};
    if (root)
        j.sum = ALLOWED;
    if (identity) {
        add_identity(&j, identity);
        add_boundary(&j, identity);
    }
    add_organization(&j, w, q->account);
    return j.sum;
}

const char *sim_decide(struct sim_world *w, const struct sim_question *q, struct sim_reason *ret_why)
{
    static json_t *nothing; /* a simulation knows only what it is told */
    if (!nothing)
        nothing = json_object();
    struct facts f = {.principal_arn = q->principal_arn,
                      .account = q->account,
                      .region = "us-east-1",
                      .context = q->context ? q->context : nothing};
    enum verdict sum = decide(w, q, &f, ret_why);
    return sum == ALLOWED ? "allowed" : sum == DENIED ? "explicitDeny" : "implicitDeny";
}

bool sim_allowed(struct sim_request *rq, const char *action, const char *resource, struct sim_reason *ret_why)
{
    const struct sim_session *session = sim_session_of(rq->access_key_id);
    struct facts f = {.principal_arn = rq->caller_arn, .account = rq->caller_account, .region = rq->region, .rq = rq};
    struct sim_question q = {
        .account = rq->caller_account, .principal_arn = rq->caller_arn, .action = action, .resource = resource};
    enum verdict sum = decide(rq->world, &q, &f, ret_why);
    if (sum == ALLOWED && session && session->policy) {
        sum = judge(session->policy, action, resource, &f);
        ret_why->layer = "session policy";
        ret_why->is_explicit = sum == DENIED;
    }
    return sum == ALLOWED;
}

/* ---- trusts ---- */

static bool principal_is(const char *wanted, const char *arn, const char *account)
{
    char root[64];
    (void)snprintf(root, sizeof root, "arn:aws:iam::%s:root", account);
    if (strcmp(wanted, "*") == 0 || strcmp(wanted, account) == 0 || strcmp(wanted, root) == 0 ||
        strcmp(wanted, arn) == 0)
        return true;
    /* arn:aws:iam::A:role/R trusts every session of R. */
    const char *assumed = strstr(arn, ":assumed-role/"), *role = strstr(wanted, ":role/");
    const char *role_name = role ? strrchr(wanted, '/') + 1 : NULL;
    return assumed && role_name && strstr(wanted, account) && strlen(role_name) == strcspn(assumed + 14, "/") &&
           strncmp(role_name, assumed + 14, strlen(role_name)) == 0;
}

static bool statement_trusts(const json_t *statement, const char *arn, const char *account)
{
    const json_t *principal = json_object_get(statement, "Principal");
    const json_t *aws = json_is_string(principal) ? principal : json_object_get(principal, "AWS");
    if (json_is_string(aws))
        return principal_is(json_string_value(aws), arn, account);
    for (size_t i = 0; i < json_array_size(aws); i++) {
        const char *one = json_string_value(json_array_get(aws, i));
        if (one && principal_is(one, arn, account))
            return true;
    }
    return false;
}

bool sim_trust_allows(const char *document, const char *principal_arn, const char *account, const char *external_id)
{
    const json_t *policy = sim_policy_parse(document);
    const json_t *statements = json_object_get(policy, "Statement");
    struct facts f = {.principal_arn = principal_arn,
                      .account = account,
                      .external_id = external_id && *external_id ? external_id : NULL};
    bool allowed = false;
    size_t count = json_is_array(statements) ? json_array_size(statements) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *statement = json_is_array(statements) ? json_array_get(statements, i) : statements;
        if (!any_matches(json_object_get(statement, "Action"), "sts:AssumeRole", true) ||
            !statement_trusts(statement, principal_arn, account) || !conditions_hold(statement, &f))
            continue;
        const char *effect = json_string_value(json_object_get(statement, "Effect"));
        if (effect && strcmp(effect, "Deny") == 0)
            return false;
        allowed = true;
    }
    return allowed;
}

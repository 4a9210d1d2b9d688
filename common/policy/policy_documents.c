/* The groups of policy_needs.c as documents that AWS accepts: within its sizes, reading apart from writing. */
#include "common/policy/policy.h"

#include "common/base/mem.h"

#include <ctype.h>
#include <string.h>

#define POLICY_VERSION "2012-10-17"

size_t policy_characters(const json_t *document)
{
    AUTO_FREE char *text = json_text(document);
    size_t count = 0;
    for (const char *c = text; *c; c++)
        count += !isspace((unsigned char)*c);
    return count;
}

static json_t *one_or_list(const json_t *list)
{
    return json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) : json_deep_copy(list);
}

static json_t *statement_of(const json_t *group, const char *sid, json_t *actions)
{
    json_t *s = json_make("{s:s, s:s, s:o, s:o}", "Sid", sid, "Effect", "Allow", "Action", one_or_list(actions),
                          "Resource", one_or_list(json_object_get(group, "resources")));
    const json_t *condition = json_object_get(group, "condition");
    if (condition)
        json_put(s, "Condition", json_deep_copy(condition));
    json_decref(actions);
    return s;
}

static json_t *empty_document(void)
{
    return json_make("{s:s, s:[]}", "Version", POLICY_VERSION, "Statement");
}

struct packing {
    const char *part, *base;
    json_t *list; /* of documents */
    json_t *now;  /* the document being filled */
    size_t actions;
};

static void close_document(struct packing *p)
{
    json_t *statements = json_object_get(p->now, "Statement");
    if (!json_array_size(statements))
        return;
    size_t number = json_array_size(p->list) + 1;
    AUTO_FREE char *name = number == 1 ? mem_dup(p->base) : mem_printf("%s%zu", p->base, number);
    (void)json_array_append_new(p->list, json_make("{s:s, s:s, s:I, s:I, s:O}", "name", name, "part", p->part,
                                                   "actions", (json_int_t)p->actions, "characters",
                                                   (json_int_t)policy_characters(p->now), "document", p->now));
    json_decref(p->now);
    p->now = empty_document();
    p->actions = 0;
}

static json_t *some_of(const json_t *actions, size_t from, size_t count)
{
    json_t *some = json_array();
    for (size_t i = from; i < from + count; i++)
        (void)json_array_append(some, json_array_get(actions, i));
    return some;
}

/* Adds the statement, or says that it does not fit any more. */
static bool try_add(struct packing *p, const json_t *group, const char *sid, json_t *actions)
{
    size_t count = json_array_size(actions);
    json_t *statements = json_object_get(p->now, "Statement");
    (void)json_array_append_new(statements, statement_of(group, sid, actions));
    if (policy_characters(p->now) <= POLICY_MANAGED_MAX) {
        p->actions += count;
        return true;
    }
    (void)json_array_remove(statements, json_array_size(statements) - 1);
    return false;
}

/* A group that fits no document whole goes on in the next one, under the same Sid with a number. */
static void add_group(struct packing *p, const json_t *group)
{
    const json_t *actions = json_object_get(group, "actions");
    const char *sid = json_str_at(group, "sid");
    size_t count = json_array_size(actions), done = 0, piece = 1;
    if (try_add(p, group, sid, some_of(actions, 0, count)))
        return;
    close_document(p);
    for (size_t take = count; done < count;) {
        AUTO_FREE char *name = piece == 1 ? mem_dup(sid) : mem_printf("%s%zu", sid, piece);
        if (take > count - done)
            take = count - done;
        if (try_add(p, group, name, some_of(actions, done, take))) {
            done += take;
            piece++;
        } else if (json_array_size(json_object_get(p->now, "Statement"))) {
            close_document(p);
            take = count - done;
        } else if (take > 1) {
            take = (take + 1) / 2;
        } else {
            break; /* one action with its resources is larger than a policy: nothing could hold it */
        }
    }
}

static void add_part(json_t *to, const json_t *needs, const char *part, const char *base)
{
    json_auto_t *list = json_array();
    struct packing p = {.part = part, .base = base, .list = list, .now = empty_document()};
    size_t i = 0;
    const json_t *group = NULL;
    json_array_foreach ((json_t *)(uintptr_t)needs, i, group)
        if (str_eq(json_str_at(group, "part"), part))
            add_group(&p, group);
    close_document(&p);
    json_decref(p.now);
    (void)json_array_extend(to, list);
}

json_t *policy_documents(const json_t *needs)
{
    json_t *documents = json_array();
    add_part(documents, needs, "read", "OrgImportRead");
    add_part(documents, needs, "write", "OrgImportWrite");
    return documents;
}

/* ---- What must never happen -----------------------------------------------------------------------------------------
 */

static json_t *deny(const char *sid, const char *const *actions, json_t *resources)
{
    json_t *list = json_array();
    for (; *actions; actions++)
        (void)json_array_append_new(list, json_string(*actions));
    return json_make("{s:s, s:s, s:o, s:o}", "Sid", sid, "Effect", "Deny", "Action", list, "Resource", resources);
}

json_t *policy_guard(const json_t *import)
{
    static const char *const organization[] = {
        "organizations:Accept*",   "organizations:Attach*",     "organizations:Cancel*",
        "organizations:Close*",    "organizations:Create*",     "organizations:Decline*",
        "organizations:Delete*",   "organizations:Deregister*", "organizations:Detach*",
        "organizations:Disable*",  "organizations:Enable*",     "organizations:Invite*",
        "organizations:Leave*",    "organizations:Move*",       "organizations:Put*",
        "organizations:Register*", "organizations:Remove*",     "organizations:Tag*",
        "organizations:Untag*",    "organizations:Update*",     NULL};
    static const char *const trail[] = {"account:CloseAccount",
                                        "account:Put*",
                                        "cloudtrail:Delete*",
                                        "cloudtrail:Stop*",
                                        "cloudtrail:Update*",
                                        "cloudtrail:Put*",
                                        "iam:CreateAccessKey",
                                        "iam:CreateLoginProfile",
                                        "iam:CreateUser",
                                        "iam:PassRole",
                                        "kms:*",
                                        "s3:DeleteObject*",
                                        "secretsmanager:*",
                                        "ssm:*",
                                        "sts:AssumeRole",
                                        "tax:PutTaxInheritance",
                                        NULL};
    static const char *const roles[] = {"iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:Put*",
                                        "iam:Tag*",    "iam:Untag*",  "iam:Update*", NULL};
    static const char *const protected_roles[] = {"aws-reserved/*", "aws-service-role/*", "AWSControlTower*",
                                                  "stacksets-exec-*", "OrganizationAccountAccessRole"};
    const char *partition = json_str_or(import, "vars.partition", "aws");
    json_t *arns = json_array();
    for (size_t i = 0; i < ARRAY_LEN(protected_roles); i++) {
        AUTO_FREE char *arn = mem_printf("arn:%s:iam::*:role/%s", partition, protected_roles[i]);
        (void)json_array_append_new(arns, json_string(arn));
    }
    return json_make("{s:s, s:[o, o, o]}", "Version", POLICY_VERSION, "Statement",
                     deny("NeverTheOrganization", organization, json_string("*")),
                     deny("NeverDataKeysOrTraces", trail, json_string("*")), deny("NeverRolesOfAWS", roles, arns));
}

/* ---- The role route
 * --------------------------------------------------------------------------------------------------- */

json_t *policy_trust(const json_t *import)
{
    AUTO_FREE char *principal = mem_printf("arn:%s:iam::%s:root", json_str_or(import, "vars.partition", "aws"),
                                           json_str_at(import, "vars.operator_account_id"));
    /* SetSourceIdentity: every event in the customer's CloudTrail then carries the import's id. */
    return json_make("{s:s, s:[{s:s, s:s, s:{s:s}, s:[s, s], s:{s:{s:s}}}]}", "Version", POLICY_VERSION, "Statement",
                     "Sid", "OrgImport", "Effect", "Allow", "Principal", "AWS", principal, "Action", "sts:AssumeRole",
                     "sts:SetSourceIdentity", "Condition", "StringEquals", "sts:ExternalId",
                     json_str_at(import, "vars.external_id_bootstrap"));
}

/* "iam:GetRole" -> "iam:Get*": reads of one service and verb as one entry. Writes stay exact. */
static json_t *shorten_reads(const json_t *actions)
{
    static const char *const verbs[] = {":Get", ":List", ":Describe"};
    json_t *shorter = json_array();
    const json_t *one = NULL;
    size_t n = 0;
    json_array_foreach ((json_t *)(uintptr_t)actions, n, one) {
        const char *name = json_string_value(one), *at = NULL;
        for (size_t i = 0; i < ARRAY_LEN(verbs) && !at; i++) {
            at = strstr(name, verbs[i]);
            if (at)
                at += strlen(verbs[i]);
        }
        AUTO_FREE char *wide = at ? mem_printf("%.*s*", (int)(at - name), name) : mem_dup(name);
        if (!json_array_has_str(shorter, wide))
            (void)json_array_append_new(shorter, json_string(wide));
    }
    json_sort_by(shorter, NULL);
    return shorter;
}

/* One statement without resources: a session policy only narrows what the role's own policies allow, and 2,048
 * characters hold no more. */
static char *session_text(const json_t *actions)
{
    json_auto_t *policy = json_make("{s:s, s:[{s:s, s:O, s:s}]}", "Version", POLICY_VERSION, "Statement", "Effect",
                                    "Allow", "Action", actions, "Resource", "*");
    return json_text(policy);
}

char *policy_session(const json_t *manifest, const json_t *import)
{
    json_auto_t *needs = policy_needs(manifest, import);
    json_auto_t *actions = policy_actions(needs);
    if (!json_array_size(actions))
        return NULL;
    char *text = session_text(actions);
    if (strlen(text) > POLICY_SESSION_MAX) {
        mem_free(text);
        json_auto_t *shorter = shorten_reads(actions);
        text = session_text(shorter);
    }
    if (strlen(text) <= POLICY_SESSION_MAX)
        return text;
    mem_free(text);
    return NULL;
}

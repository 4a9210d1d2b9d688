/* IAM, shared parts; the operations are in svc_iam_{roles,policies,users,account}.c. */
#include "sim_iam.h"

#include <stdlib.h>

const struct iam_words iam_words[] = {
    [IAM_ROLE] = {"roles", "role", "RoleName"},
    [IAM_USER] = {"users", "user", "UserName"},
    [IAM_GROUP] = {"groups", "group", "GroupName"},
    [IAM_POLICY] = {"policies", "policy", "PolicyName"},
};

json_t *iam_all(struct sim_request *rq, enum iam_kind kind)
{
    json_t *iam = sim_account_iam(rq->world, rq->caller_account);
    json_t *all = json_object_get(iam, iam_words[kind].section);
    if (!all) {
        all = json_object();
        json_object_set_new(iam, iam_words[kind].section, all);
    }
    return all;
}

json_t *iam_get(struct sim_request *rq, enum iam_kind kind, const char *name)
{
    json_t *found = json_object_get(iam_all(rq, kind), name);
    if (!found)
        sim_error(rq, 404, "NoSuchEntity", "The %s with name %s cannot be found.", iam_words[kind].word, name);
    return found;
}

json_t *iam_get_ours(struct sim_request *rq, enum iam_kind kind, const char *name)
{
    json_t *found = iam_get(rq, kind, name);
    const char *path = svc_text(found, "Path");
    if (found && (strncmp(path, "/aws-service-role/", 18) == 0 || strncmp(path, "/aws-reserved/", 14) == 0)) {
        sim_error(rq, 400, "UnmodifiableEntity",
                  "Cannot perform the operation on the protected role '%s' - this role is only "
                  "modifiable by AWS",
                  name);
        return NULL;
    }
    return found;
}

json_t *iam_get_policy(struct sim_request *rq, const char *arn)
{
    const char *name = strrchr(arn, '/');
    json_t *found = name ? json_object_get(iam_all(rq, IAM_POLICY), name + 1) : NULL;
    if (found && svc_is(svc_text(found, "Arn"), arn))
        return found;
    sim_error(rq, 404, "NoSuchEntity", "Policy %s was not found.", arn);
    return NULL;
}

bool iam_is_taken(struct sim_request *rq, enum iam_kind kind, const char *name)
{
    const char *other;
    json_t *value;
    bool ignore_case = sim_trap("iam_names_ignore_case");
    json_object_foreach (iam_all(rq, kind), other, value)
        if (svc_is(other, name) || (ignore_case && strcasecmp(other, name) == 0)) {
            sim_error(rq, 409, "EntityAlreadyExists", "%s with name %s already exists.",
                      kind == IAM_ROLE    ? "Role"
                      : kind == IAM_USER  ? "User"
                      : kind == IAM_GROUP ? "Group"
                                          : "A policy",
                      name);
            return true;
        }
    return false;
}

bool iam_name_is_fine(struct sim_request *rq, const char *what, const char *name, size_t max)
{
    if (svc_matches(name, "_+=,.@-", 1, max))
        return true;
    sim_error(rq, 400, "ValidationError",
              "1 validation error detected: Value '%.80s' at '%s' failed to satisfy constraint: Member "
              "must satisfy regular expression pattern: [\\w+=,.@-]+ and have length at most %zu",
              name, what, max);
    return false;
}

bool iam_document_is_fine(struct sim_request *rq, const char *document, size_t max, const char *quota)
{
    json_t *parsed = json_loads(document, JSON_REJECT_DUPLICATES, NULL);
    const json_t *statement = json_object_get(parsed, "Statement");
    bool fine = json_is_object(parsed) && (json_is_object(statement) || json_array_size(statement) > 0);
    json_decref(parsed);
    if (!fine) {
        sim_error(rq, 400, "MalformedPolicyDocument", "The policy is not in the valid JSON format.");
        return false;
    }
    size_t bytes = 0; /* AWS does not count white space */
    for (const char *at = document; *at; at++)
        bytes += *at != ' ' && *at != '\n' && *at != '\t' && *at != '\r';
    if (bytes > max) {
        sim_error(rq, 409, "LimitExceeded", "Cannot exceed quota for %s: %zu", quota, max);
        return false;
    }
    return true;
}

bool iam_within_quota(struct sim_request *rq, const char *quota, size_t otherwise, size_t used)
{
    const json_t *own =
        json_object_get(json_object_get(sim_account_iam(rq->world, rq->caller_account), "quotas"), quota);
    size_t limit = json_is_integer(own) ? (size_t)json_integer_value(own) : otherwise;
    if (used < limit)
        return true;
    sim_error(rq, 409, "LimitExceeded", "Cannot exceed quota for %s: %zu", quota, limit);
    return false;
}

json_t *iam_document(const char *text)
{
    if (!sim_trap("iam_documents_percent_encoded"))
        return json_string(text);
    struct sim_text t = {0};
    sim_text_uri(&t, text, strlen(text), false);
    json_t *encoded = json_string(t.data);
    free(t.data);
    return encoded;
}

json_t *iam_tags(struct sim_request *rq)
{
    const json_t *given = json_object_get(rq->params, "Tags");
    json_t *tags = json_array();
    for (size_t i = 0; i < json_array_size(given); i++) {
        const json_t *one = json_array_get(given, i);
        const char *key = svc_text(one, "Key");
        if (key[0] == '\0' || strlen(key) > 128 || strlen(svc_text(one, "Value")) > 256 || i >= 50) {
            json_decref(tags);
            sim_error(rq, 400, i >= 50 ? "LimitExceeded" : "ValidationError",
                      "Tags are at most 50, keys 1 to 128, values 256");
            return NULL;
        }
        json_array_append_new(tags, json_pack("{s:s, s:s}", "Key", key, "Value", svc_text(one, "Value")));
    }
    return tags;
}

json_t *iam_new_id(const char *prefix)
{
    char key[21], id[24];
    sim_key_id(prefix, "000000000000", key); /* only the shape matters: prefix and 17 capitals or digits */
    uint64_t random = sim_random();
    for (int i = 4; i < 12; i++, random >>= 5)
        key[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[random & 31];
    (void)snprintf(id, sizeof id, "%sX", key);
    return json_string(id);
}

json_t *iam_now(void)
{
    char at[32];
    sim_rfc3339(sim_now_ms(), at);
    return json_string(at);
}

json_t *iam_attached(const json_t *owner)
{
    json_t *list = json_array();
    const json_t *arns = json_object_get(owner, "attached");
    for (size_t i = 0; i < json_array_size(arns); i++) {
        const char *arn = json_string_value(json_array_get(arns, i)), *name = arn ? strrchr(arn, '/') : NULL;
        if (name)
            json_array_append_new(list, json_pack("{s:s, s:s}", "PolicyName", name + 1, "PolicyArn", arn));
    }
    return list;
}

json_t *iam_copy(const json_t *from, const char *const *names)
{
    json_t *copy = json_object();
    for (; *names; names++) {
        json_t *value = json_object_get(from, *names);
        if (value)
            json_object_set(copy, *names, value);
    }
    return copy;
}

void iam_page(struct sim_request *rq, json_t *result, const char *name, json_t *all)
{
    const char *max_text = sim_param(rq, "MaxItems"), *marker = sim_param(rq, "Marker");
    size_t max = max_text[0] ? strtoul(max_text, NULL, 10) : 100, start = 0;
    if (max < 1 || max > 1000 || (marker[0] && strncmp(marker, "m-", 2) != 0)) {
        json_decref(result);
        json_decref(all);
        sim_error(rq, 400, "ValidationError", "MaxItems is 1 to 1000; a Marker comes from the page before");
        return;
    }
    if (marker[0])
        start = strtoul(marker + 2, NULL, 10);
    if (sim_trap("iam_short_pages") && max > 10)
        max = 10; /* fewer than asked for, as IAM's documentation warns */
    json_t *page = json_array();
    size_t count = json_array_size(all), i = start;
    for (; i < count && i - start < max; i++)
        json_array_append(page, json_array_get(all, i));
    result = result ? result : json_object();
    json_object_set_new(result, name, page);
    json_object_set_new(result, "IsTruncated", json_boolean(i < count));
    if (i < count)
        json_object_set_new(result, "Marker", svc_textf("m-%zu", i));
    json_decref(all);
    sim_ok_query(rq, result);
}

/* ---- documents as AWS stores them ---- */

static void collapse(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    if (json_is_array(value) && json_array_size(value) == 1)
        json_object_set(object, name, json_array_get(value, 0));
}

static void collapse_all(json_t *object)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, name, value) collapse(object, name);
}

static void spell_principal(json_t *principal)
{
    const char *account = json_string_value(json_object_get(principal, "AWS"));
    if (account && svc_matches(account, "", 12, 12) && strspn(account, "0123456789") == 12)
        json_object_set_new(principal, "AWS", svc_textf("arn:aws:iam::%s:root", account));
}

char *iam_stored_document(const char *document)
{
    json_t *policy = json_loads(document, 0, NULL);
    if (!policy)
        return strdup(document);
    json_t *statements = json_object_get(policy, "Statement");
    bool lists = sim_trap("one_member_lists"), arns = sim_trap("principal_account_becomes_arn");
    for (size_t i = 0; i < json_array_size(statements); i++) {
        json_t *statement = json_array_get(statements, i);
        json_t *principal = json_object_get(statement, "Principal");
        if (lists) {
            collapse(statement, "Action");
            collapse(statement, "Resource");
            collapse_all(principal);
            const char *name;
            json_t *condition;
            json_object_foreach (json_object_get(statement, "Condition"), name, condition)
                collapse_all(condition);
        }
        if (arns)
            spell_principal(principal);
    }
    char *text = json_dumps(policy, JSON_COMPACT);
    json_decref(policy);
    return text;
}

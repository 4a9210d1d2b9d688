/* AWS's words of a refusal, taken apart: which action, on what, and which kind of policy said no. The forms are those
 * of "Troubleshoot access denied error messages" of the IAM guide; since 2026 the policy's ARN may follow. */
#include "common/policy/policy.h"

#include "common/base/mem.h"

#include <string.h>

/* The text between `from` and the first of `ends` (or the end), or "". */
static char *between(const char *text, const char *from, const char *const *ends)
{
    const char *at = strstr(text, from);
    if (!at)
        return mem_dup("");
    at += strlen(from);
    size_t len = strlen(at);
    for (; *ends; ends++) {
        const char *end = strstr(at, *ends);
        if (end && (size_t)(end - at) < len)
            len = (size_t)(end - at);
    }
    while (len && (at[len - 1] == '.' || at[len - 1] == ' ' || at[len - 1] == '"'))
        len--;
    if (len && at[0] == '"') {
        at++;
        len--;
    }
    return mem_printf("%.*s", (int)(len > 600 ? 600 : len), at);
}

static void put_layer(json_t *facts, const char *text)
{
    static const char *const layers[] = {
        "service control policy", "resource control policy", "permissions boundary",  "session policy",
        "resource-based policy",  "VPC endpoint policy",     "identity-based policy", NULL};
    static const char *const after[] = {" ", "\n", ")", NULL};
    bool is_explicit = strstr(text, "with an explicit deny") != NULL;
    const char *because = strstr(text, is_explicit ? "with an explicit deny" : "because no ");
    json_put_str(facts, "kind", is_explicit ? "explicit" : because ? "implicit" : "");
    json_put_str(facts, "layer", "");
    json_put_str(facts, "policy", "");
    for (size_t i = 0; because && layers[i]; i++) {
        if (!strstr(because, layers[i]))
            continue;
        json_put_str(facts, "layer", layers[i]);
        break;
    }
    const char *arn = because ? strstr(because, "arn:") : NULL;
    if (arn) {
        AUTO_FREE char *policy = between(arn - 1, ": ", after); /* "policy: arn:.." */
        AUTO_FREE char *plain = *policy ? mem_dup(policy) : mem_printf("%.*s", (int)strcspn(arn, " \n)"), arn);
        json_put_str(facts, "policy", str_starts(plain, "arn:") ? plain : "");
    }
}

json_t *policy_denied_read(const char *text)
{
    static const char verb[] = "is not authorized to perform: ";
    static const char *const after_user[] = {" is not authorized", NULL};
    static const char *const after_action[] = {" on resource", " because ", " with an ", " ", NULL};
    static const char *const after_resource[] = {" because ", " with an ", NULL};
    if (!text || !strstr(text, verb))
        return NULL;
    AUTO_FREE char *user = between(text, "User: ", after_user);
    AUTO_FREE char *action = between(text, verb, after_action);
    AUTO_FREE char *resource = between(text, "on resource: ", after_resource);
    json_t *facts = json_make("{s:s, s:s, s:s}", "principal", user, "action", action, "resource", resource);
    put_layer(facts, text);
    return facts;
}

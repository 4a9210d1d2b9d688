/* The session policy of the role route: what the steps of this import declare, and nothing else. */
#include "common/base/mem.h"
#include "worker/runtime/session.h"
#include "worker/step.h"

#include <string.h>

#define POLICY_BYTES_MAX 2048u

static void add_permissions(json_t *set, const char *list)
{
    AUTO_FREE char *copy = mem_dup(list);
    char *rest = copy;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ","))
        if (*word)
            json_put(set, word, json_true());
}

static void add_step(json_t *set, const struct step_def *def)
{
    for (const struct aws_op *const *op = def ? def->ops : NULL; op && *op; op++)
        if ((*op)->who == AWS_AS_CUSTOMER)
            add_permissions(set, (*op)->permission);
}

/* "iam:GetRole" -> "iam:Get*": reads of one service and verb as one entry. Writes stay exact. New reference. */
static json_t *shorten_reads(json_t *set)
{
    static const char *const verbs[] = {":Get", ":List", ":Describe"};
    json_t *shorter = json_object();
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach (set, name, value) {
        const char *at = NULL;
        for (size_t i = 0; i < ARRAY_LEN(verbs) && !at; i++) {
            at = strstr(name, verbs[i]);
            if (at)
                at += strlen(verbs[i]);
        }
        AUTO_FREE char *wide = at ? mem_printf("%.*s*", (int)(at - name), name) : mem_dup(name);
        json_put(shorter, wide, json_true());
    }
    return shorter;
}

static char *policy_text(const json_t *set)
{
    json_auto_t *actions = json_array();
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)set, name, value)
        (void)json_array_append_new(actions, json_string(name));
    json_sort_by(actions, NULL);
    json_auto_t *policy = json_make("{s:s, s:[{s:s, s:O, s:s}]}", "Version", "2012-10-17", "Statement", "Effect",
                                    "Allow", "Action", actions, "Resource", "*");
    return json_text(policy);
}

char *session_policy(const json_t *import)
{
    json_auto_t *set = json_object();
    size_t i = 0;
    json_t *name = NULL;
    json_array_foreach (json_object_get(import, "steps"), i, name)
        add_step(set, step_def_by_name(json_string_value(name)));
    if (!json_object_size(set))
        return NULL;
    char *text = policy_text(set);
    if (strlen(text) > POLICY_BYTES_MAX) {
        mem_free(text);
        json_auto_t *shorter = shorten_reads(set);
        text = policy_text(shorter);
    }
    if (strlen(text) <= POLICY_BYTES_MAX)
        return text;
    mem_free(text);
    return NULL;
}

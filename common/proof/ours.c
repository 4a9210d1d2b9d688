/* Whose call an event is; see ours.h. */
#include "common/proof/ours.h"

#include "common/base/assert.h"

void ours_add_key(struct ours *ours, const char *access_key_id)
{
    if (!access_key_id || !*access_key_id)
        return;
    for (size_t i = 0; i < OURS_KEYS_MAX; i++) {
        if (ours->keys[i] && str_eq(ours->keys[i], access_key_id))
            return;
        if (!ours->keys[i]) {
            ours->keys[i] = access_key_id;
            return;
        }
    }
    ASSERT(false);
}

static bool is_session(const char *user, const char *import_id)
{
    const char *slash = strrchr(user, '/');
    return strstr(user, ":assumed-role/") && slash && str_eq(slash + 1, import_id);
}

static bool is_key(const struct ours *ours, const char *access_key_id)
{
    for (size_t i = 0; i < OURS_KEYS_MAX && ours->keys[i]; i++)
        if (str_eq(ours->keys[i], access_key_id))
            return true;
    return false;
}

static bool is_of_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* As a whole word: one id may begin like another. */
static bool names(const char *agent, const char *id)
{
    size_t len = strlen(id);
    for (const char *at = strstr(agent, id); len && at; at = strstr(at + 1, id))
        if ((at == agent || !is_of_word(at[-1])) && !is_of_word(at[len]))
            return true;
    return false;
}

bool ours_caused(const struct ours *ours, const json_t *event)
{
    const char *id = ours->import_id ? ours->import_id : "", *agent = json_str_at(event, "agent");
    if (*id && (str_eq(json_str_at(event, "source_identity"), id) || is_session(json_str_at(event, "user"), id)))
        return true;
    return is_key(ours, json_str_at(event, "access_key_id")) && (!*agent || names(agent, id));
}

/* ---- Operations ---- */
static bool is_same_action(const char *action, size_t len, const char *name)
{
    static const char word[] = "Bucket";
    const size_t word_len = sizeof word - 1;
    const char *end = action + len;
    while (action < end || *name) {
        bool in_action = (size_t)(end - action) >= word_len && strncmp(action, word, word_len) == 0;
        bool in_name = strncmp(name, word, word_len) == 0;
        if (in_action && !in_name)
            action += word_len;
        else if (in_name && !in_action)
            name += word_len;
        if ((action < end ? *action : 0) != *name)
            return false;
        if (*name) {
            action++;
            name++;
        }
    }
    return true;
}

/* Tax settings answer at tax.amazonaws.com and are taxsettings.amazonaws.com in CloudTrail. Else both names agree up to
 * the dot: s3control is not s3. */
static bool is_service(const char *op, size_t len, const char *source)
{
    if (strncmp(op, source, len) == 0 && source[len] == '.')
        return true;
    return len == strlen("tax") && strncmp(op, "tax", len) == 0 && str_eq(source, "taxsettings.amazonaws.com");
}

bool ours_is_op(const char *op, const json_t *event)
{
    const char *colon = strchr(op, ':'), *source = json_str_at(event, "source"), *name = json_str_at(event, "name");
    if (!colon)
        return false;
    bool is_there = !*source || is_service(op, (size_t)(colon - op), source);
    return is_there && is_same_action(colon + 1, strcspn(colon + 1, "/"), name);
}

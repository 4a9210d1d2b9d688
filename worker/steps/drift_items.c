/* Items of a look for drift, and one question put to several roles in turn. */
#include "worker/steps/drift_items.h"

#include "worker/steps/policy_document.h"

#include <string.h>

/* AWS's ways to say "you may not look". */
#define DENIED "AccessDenied,AccessDeniedException,UnauthorizedOperation,AllAccessDisabled"

struct drift_sighting drift_ask(struct drift_look *l, const char *key, const struct aws_op *op, json_t *new_args,
                                const char *region)
{
    json_auto_t *args = new_args ? new_args : json_object();
    for (size_t d = 0; d < l->door_count; d++) {
        const json_t *facts = NULL;
        enum step_result one = step_call_through(l->s, step_text(l->s, "%s/through-%u", key, l->doors[d].role),
                                                 l->doors[d].role, op, json_incref(args), region, DENIED, &facts);
        step_also(&l->all, one);
        if (one != STEP_DONE)
            return (struct drift_sighting){.sight = DRIFT_WAITING};
        if (!json_has(facts, "error"))
            return (struct drift_sighting){.sight = DRIFT_SEEN, .facts = facts, .through = l->doors[d].name};
    }
    return (struct drift_sighting){.sight = DRIFT_DENIED, .lacks = op->permission};
}

void drift_say(struct drift_look *l, const char *resource, const char *what, const char *status, const json_t *from,
               const json_t *to, const char *through, const char *text)
{
    json_t *item = json_make("{s:s,s:s,s:s}", "resource", resource, "what", what, "status", status);
    if (from)
        json_put(item, "from", json_incref((json_t *)(uintptr_t)from));
    if (to)
        json_put(item, "to", json_incref((json_t *)(uintptr_t)to));
    if (through && *through)
        json_put_str(item, "through", through);
    if (text && *text)
        json_put_str(item, "text", text);
    (void)json_array_append_new(l->items, item);
}

static void say_hidden(struct drift_look *l, const char *resource, const char *what, const char *lacks)
{
    json_t *item =
        json_make("{s:s,s:s,s:s,s:s}", "resource", resource, "what", what, "status", "not_visible", "lacks", lacks);
    (void)json_array_append_new(l->items, item);
}

bool drift_is_seen(struct drift_look *l, const struct drift_sighting *at, const char *resource, const char *what)
{
    if (at->sight == DRIFT_SEEN)
        return true;
    if (at->sight == DRIFT_WAITING)
        return false;
    for (const char *name = what; *name; name += strspn(name, ",")) {
        size_t len = strcspn(name, ",");
        say_hidden(l, resource, step_text(l->s, "%.*s", (int)len, name), at->lacks);
        name += len;
    }
    return false;
}

static void say_compared(struct drift_look *l, const struct drift_sighting *at, const char *resource, const char *what,
                         const json_t *from, const json_t *to, bool is_same)
{
    if (is_same)
        drift_say(l, resource, what, "same", NULL, NULL, at->through, NULL);
    else if (!to || json_is_null(to))
        drift_say(l, resource, what, "gone", from, NULL, at->through, NULL);
    else
        drift_say(l, resource, what, "changed", from ? from : step_keep(l->s, json_null()), to, at->through, NULL);
}

void drift_compare(struct drift_look *l, const struct drift_sighting *at, const char *resource, const char *what,
                   const json_t *from, json_t *new_to)
{
    const json_t *to = new_to ? step_keep(l->s, new_to) : NULL;
    bool is_none = (!from || json_is_null(from)) && (!to || json_is_null(to));
    say_compared(l, at, resource, what, from, to, is_none || (from && to && json_equal(from, to)));
}

void drift_compare_policy(struct drift_look *l, const struct drift_sighting *at, const char *resource, const char *what,
                          const json_t *from, const json_t *to)
{
    bool is_same = json_is_object(from) && json_is_object(to) && policy_equal(from, to);
    say_compared(l, at, resource, what, from, to, is_same);
}

/* What a step may know, and what it leaves: no effects here. */
#include "worker/runtime/step_private.h"

#include <stdio.h>

#define TEXT_BYTES_MAX (64u * 1024u)

const json_t *step_import(const struct step *s)
{
    return s->in.import;
}

const char *step_var(const struct step *s, const char *path)
{
    return json_str_at(json_object_get(s->in.import, "vars"), path);
}

/* What lies in a blob and was not asked for with `uses` is not at hand. */
static const json_t *at_hand(const json_t *results, const char *name)
{
    const json_t *result = json_object_get(results, name);
    return json_has(result, "$blob") ? NULL : result;
}

const json_t *step_result_of(const struct step *s, const char *name)
{
    return at_hand(s->in.results, name);
}

bool step_has_result(const struct step *s, const char *name)
{
    return json_object_get(s->in.results, name) != NULL;
}

const json_t *step_undo_of(const struct step *s, const char *name)
{
    return at_hand(s->in.undone, name);
}

const json_t *step_signal(const struct step *s, const char *key)
{
    return json_object_get(s->in.signals, key);
}

static const json_t *recorded(const struct step *s, const char *key)
{
    if (!s->in.is_undo)
        return journal_write(&s->journal, key);
    if (!s->in.def->runs_in_undo)
        return journal_forward(&s->journal, "keys", key);
    AUTO_FREE char *own = mem_printf("undo/%s", key); /* as step_ask() names it */
    return journal_write(&s->journal, own);
}

/* An open intent counts as made: undo looks at what is there, and takes away only what carries our mark. */
const json_t *step_journal_facts(const struct step *s, const char *key)
{
    const json_t *entry = recorded(s, key);
    if (!entry)
        return NULL;
    const json_t *facts = json_object_get(entry, "facts");
    return facts ? facts : step_keep((struct step *)(uintptr_t)s, json_null());
}

uint64_t step_did_at(const struct step *s, const char *key)
{
    return (uint64_t)json_integer_value(journal_forward(&s->journal, "now", key));
}

const json_t *step_writes(const struct step *s)
{
    return s->in.writes;
}

bool step_has_identity(const struct step *s, enum aws_identity_kind who)
{
    return s->host->has_identity(s->host->self, who);
}

bool step_is_undo(const struct step *s)
{
    return s->in.is_undo;
}

json_t *step_keep(struct step *s, json_t *new_value)
{
    ASSERT(new_value && json_array_append_new(s->kept, new_value) == 0);
    return new_value;
}

const char *step_text(struct step *s, const char *fmt, ...)
{
    va_list ap;
    AUTO_STR struct str text;
    str_init(&text, TEXT_BYTES_MAX);
    va_start(ap, fmt);
    str_addfv(&text, fmt, ap);
    va_end(ap);
    json_t *kept = json_string(text.data);
    /* Bytes that are no UTF-8 came from outside; a key made of them would not be the same twice. */
    return json_string_value(step_keep(s, kept ? kept : json_string("")));
}

void step_set(struct step *s, const char *key, json_t *value)
{
    json_put(s->result, key, value);
}

void step_set_str(struct step *s, const char *key, const char *text)
{
    json_put_str(s->result, key, text);
}

void step_grade(struct step *s, const char *grade)
{
    s->grade = grade;
}

void step_warn(struct step *s, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!s->warnings)
        s->warnings = json_array();
    if (!json_array_has_str(s->warnings, text))
        (void)json_array_append_new(s->warnings, json_string(text));
}

enum step_result step_fail(struct step *s, enum err_code code, const char *fmt, ...)
{
    struct err err = {0};
    char text[sizeof err.text];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)err_set(&err, code, "%s", text);
    return step_fail_with(s, &err, false);
}

void step_finding(struct step *s, enum err_code code, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const struct err_info *info = err_info(code);
    if (!s->findings)
        s->findings = json_array();
    (void)json_array_append_new(s->findings, json_make("{s:s, s:s, s:s, s:s}", "code", info->name, "owner",
                                                       err_owner_name(info->owner), "text", text, "fix", info->fix));
}

size_t step_finding_count(const struct step *s)
{
    return json_array_size(s->findings);
}

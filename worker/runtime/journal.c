#include "worker/runtime/journal.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

#define NAME_BYTES_MAX 128

#define JOURNAL_VERSION 1

static const char *const sections[] = {"keys",    "now",  "codes",  "task",  "signals", "spent",
                                       "accepts", "last", "chunks", "notes", "bracket", "unplanned"};

static int check_set(const json_t *root, struct err *err)
{
    if (!json_is_object(root))
        return err_set(err, ERR_CORRUPT, "a step's journal is not an object");
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        const json_t *section = json_object_get(root, sections[i]);
        if (section && !json_is_object(section))
            return err_set(err, ERR_CORRUPT, "a step's journal has a bad section \"%s\"", sections[i]);
    }
    const char *key = NULL;
    json_t *entry = NULL;
    void *it = json_object_iter(json_object_get(root, "keys"));
    for (; it; it = json_object_iter_next(json_object_get(root, "keys"), it)) {
        key = json_object_iter_key(it);
        entry = json_object_iter_value(it);
        const char *st = json_str_at(entry, "st");
        if (!str_eq(st, "intent") && !str_eq(st, "answer"))
            return err_set(err, ERR_CORRUPT, "a step's journal has a bad entry \"%s\"", key);
    }
    return 0;
}

static int check(const json_t *root, struct err *err)
{
    const json_t *undo = json_object_get(root, "undo");
    if (json_int_at(root, "v") > JOURNAL_VERSION)
        return err_set(err, ERR_SCHEMA, "a step's journal is of version %lld", (long long)json_int_at(root, "v"));
    return check_set(root, err) || (undo && check_set(undo, err)) ? -1 : 0;
}

static void fill_sections(json_t *set)
{
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        if (!json_object_get(set, sections[i]))
            json_put(set, sections[i], json_object());
}

int journal_init(struct journal *j, const char *text, struct err *err)
{
    *j = (struct journal){0};
    json_auto_t *root = NULL;
    if (text && *text) {
        root = json_read(text, strlen(text), 0, err);
        if (!root)
            return err_set(err, ERR_CORRUPT, "a step's journal cannot be read");
        if (check(root, err))
            return -1;
    } else {
        root = json_object();
        json_put_int(root, "v", JOURNAL_VERSION);
        json_put_str(root, "head", "");
        json_put_int(root, "seq", 0);
    }
    fill_sections(root);
    j->set = root;
    j->root = TAKE(root);
    return 0;
}

void journal_begin_undo(struct journal *j)
{
    if (!json_object_get(j->root, "undo"))
        json_put(j->root, "undo", json_object());
    j->set = json_object_get(j->root, "undo");
    fill_sections(j->set);
}

json_t *journal_forward(const struct journal *j, const char *section, const char *key)
{
    return json_object_get(json_object_get(j->root, section), key);
}

bool journal_text_is_done(const char *text)
{
    struct err err = {0};
    json_auto_t *root = text && *text ? json_read(text, strlen(text), 0, &err) : NULL;
    return str_eq(json_str_at(json_object_get(root, "last"), "outcome"), "D");
}

void journal_done(struct journal *j)
{
    json_decref(j->root);
    *j = (struct journal){0};
}

char *journal_text(struct journal *j, struct err *err)
{
    char *text = json_text(j->root);
    if (strlen(text) > JOURNAL_BYTES_MAX) {
        mem_free(text);
        (void)err_set(err, ERR_TOO_LARGE, "the journal of this step is over %u bytes", JOURNAL_BYTES_MAX);
        return NULL;
    }
    j->is_dirty = false;
    return text;
}

json_t *journal_writes(const struct journal *j)
{
    return json_object_get(j->set, "keys");
}

json_t *journal_forward_writes(const struct journal *j)
{
    return j->set == j->root ? NULL : json_object_get(j->root, "keys");
}

json_t *journal_write(const struct journal *j, const char *key)
{
    return json_object_get(journal_writes(j), key);
}

bool journal_write_is_open(const json_t *entry)
{
    return str_eq(json_str_at(entry, "st"), "intent");
}

/* New reference; NULL when there are none. What people typed or read is nobody's name. */
static json_t *names_of(const struct journal_intent *intent)
{
    json_t *names = json_object(), *value = NULL;
    const char *name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)intent->args, name, value)
        if (json_is_string(value) && json_string_length(value) <= NAME_BYTES_MAX && !str_starts(intent->op, "runtime:"))
            json_put(names, name, json_incref(value));
    if (json_object_size(names))
        return names;
    json_decref(names);
    return NULL;
}

void journal_intend(struct journal *j, const char *key, const struct journal_intent *intent)
{
    json_t *entry = json_object();
    json_put_str(entry, "st", "intent");
    json_put_str(entry, "op", intent->op);
    json_put_str(entry, "args", intent->args_digest);
    json_t *names = names_of(intent);
    if (names)
        json_put(entry, "names", names);
    json_put_int(entry, "at", (int64_t)intent->at_ms);
    json_put_str(entry, "fence", intent->fence);
    json_put_str(entry, "nonce", intent->nonce);
    /* An answer that never came and was believed absent may come true all the same: it is kept beneath. */
    const json_t *open = journal_write(j, key);
    if (open && journal_write_is_open(open)) {
        json_t *unclear = json_copy((json_t *)(uintptr_t)open);
        (void)json_object_del(unclear, "unclear");
        json_put(entry, "unclear", unclear);
    }
    json_put(journal_writes(j), key, entry);
    j->is_dirty = true;
}

void journal_answer(struct journal *j, const char *key, const json_t *facts, const char *settled)
{
    json_t *entry = journal_write(j, key);
    ASSERT(entry);
    json_put_str(entry, "st", "answer");
    json_put(entry, "facts", json_copy_or_null(facts));
    if (settled)
        json_put_str(entry, "settled", settled);
    j->is_dirty = true;
}

void journal_settle(struct journal *j, json_t *entry, const char *settled)
{
    json_put_str(entry, "st", "answer");
    json_put(entry, "facts", json_null());
    json_put_str(entry, "settled", settled);
    j->is_dirty = true;
}

void journal_forget(struct journal *j, const char *key)
{
    json_t *entry = journal_write(j, key), *unclear = json_object_get(entry, "unclear");
    if (!entry)
        return;
    if (unclear)
        json_put(journal_writes(j), key, json_incref(unclear));
    else
        (void)json_object_del(journal_writes(j), key);
    j->is_dirty = true;
}

static void list_write(const char *step, const char *key, const json_t *entry, json_t *ret)
{
    json_t *write = json_make("{s:s,s:s,s:s,s:I}", "step", step, "key", key, "op", json_str_at(entry, "op"), "at_ms",
                              (json_int_t)json_int_at(entry, "at"));
    json_t *names = json_object_get(entry, "names");
    if (names)
        json_put(write, "args", json_incref(names));
    (void)json_array_append_new(ret, write);
}

static void list_writes(const json_t *keys, const char *step, json_t *ret)
{
    const char *key = NULL;
    json_t *entry = NULL;
    json_object_foreach ((json_t *)(uintptr_t)keys, key, entry) {
        const json_t *unclear = json_object_get(entry, "unclear");
        list_write(step, key, entry, ret);
        if (unclear)
            list_write(step, key, unclear, ret);
    }
}

void journal_list_writes(const char *text, const char *step, json_t *ret)
{
    struct err ignored = {0};
    json_auto_t *root = text && *text ? json_read(text, strlen(text), 0, &ignored) : NULL;
    list_writes(json_object_get(root, "keys"), step, ret);
    list_writes(json_object_get(json_object_get(root, "undo"), "keys"), step, ret);
    json_array_extend(ret, json_object_get(root, "lost"));
}

json_t *journal_note_lost(struct journal *j, const char *known, const char *step)
{
    AUTO_FREE char *now = json_text(j->root);
    json_auto_t *had = json_array(), *have = json_array(), *keys = json_object();
    json_t *lost = json_array(), *one = NULL, *kept = NULL;
    size_t i = 0;
    journal_list_writes(known, step, had);
    journal_list_writes(now, step, have);
    json_array_foreach (have, i, one)
        json_put(keys, json_str_at(one, "key"), json_true());
    json_array_foreach (had, i, one)
        if (!json_object_get(keys, json_str_at(one, "key")))
            (void)json_array_append(lost, one);
    if (!json_array_size(lost))
        return lost;
    kept = json_object_get(j->root, "lost");
    if (!kept) {
        kept = json_array();
        json_put(j->root, "lost", kept);
    }
    json_array_extend(kept, lost);
    j->is_dirty = true;
    return lost;
}

bool journal_has_answers(const struct journal *j)
{
    return json_object_size(journal_writes(j)) > 0;
}

const json_t *journal_get(const struct journal *j, const char *section, const char *key)
{
    return json_object_get(json_object_get(j->set, section), key);
}

void journal_set(struct journal *j, const char *section, const char *key, json_t *value)
{
    json_t *object = json_object_get(j->set, section);
    ASSERT(object);
    if (json_equal(json_object_get(object, key), value)) {
        json_decref(value);
        return;
    }
    json_put(object, key, value);
    j->is_dirty = true;
}

void journal_unset(struct journal *j, const char *section, const char *key)
{
    if (json_object_del(json_object_get(j->set, section), key) == 0)
        j->is_dirty = true;
}

/* Reads the organization section by section, twice at least: a snapshot of many calls is not atomic.
 *
 * Every section is read once before any is read the second time. So a section whose two reads are equal held still over
 * one moment that is the same for all of them (between the first pass and the second), and the whole is what the
 * organization was then. What differs between two passes is read again alone, five times at most.
 *
 * A walk through thousands of accounts takes a quarter of an hour at half of AWS's rates: each group of each pass is
 * kept in a chunk, so that another worker goes on behind it. */
#include "worker/steps/fingerprint_read.h"

#include "common/base/assert.h"
#include "common/codec/json.h"
#include "common/proof/fingerprint.h"
#include "worker/steps/fingerprint_reading.h"
#include "worker/steps/fingerprint_shape.h"

#include <string.h>

#define PASSES_MAX 5
/* What an earlier worker read may be that old: the whole shall be of one time. */
#define CHUNK_AGE_MS_MAX 3600000u

static const struct reading_group groups[] = {
    {"organization", "organization", reading_organization, NULL},
    {"accounts", "accounts", reading_lists, reading_account_lists},
    {"tree", "tree", reading_tree, NULL},
    {"policies", "policies", reading_policies, NULL},
    {"trusted", "trusted_services", reading_lists, reading_trusted_lists},
    {"delegation", "delegation", reading_delegation, NULL},
    {"handshakes", "handshakes", reading_handshakes, NULL},
    {"transfers", "transfers", reading_lists, reading_transfer_lists},
    {"features", "features", reading_features, NULL},
    {"iam", "iam.users,iam.groups,iam.roles,iam.policies", reading_iam, NULL},
    {"iam.account", "iam.account", reading_iam_account, NULL},
    {"buckets", "s3", reading_buckets, NULL},
    {"reports", "cur", reading_reports, NULL},
    {"exports", "exports", reading_exports, NULL},
    {"tax", "tax", reading_tax, NULL},
    {"contact", "contact", reading_contact, NULL},
    {"trails", "trails", reading_trails, NULL},
};

/* ---- Asking ---- */
const json_t *reading_ask_in(struct reading *r, const char *key, const struct aws_op *op, json_t *new_args,
                             const char *region, const char *codes)
{
    const json_t *facts = NULL;
    const char *full = step_text(r->s, "%s%s%d/%s", r->name, r->name[0] ? "/" : "", r->pass, key);
    enum step_result one = step_call_in(r->s, full, op, new_args, region, codes, &facts);
    step_also(&r->all, one);
    return one == STEP_DONE ? facts : NULL;
}

const json_t *reading_ask(struct reading *r, const char *key, const struct aws_op *op, json_t *new_args)
{
    return reading_ask_in(r, key, op, new_args, "", NULL);
}

bool reading_is_denied(const json_t *facts)
{
    return json_has(facts, "error");
}

bool reading_wants(const struct reading *r, const char *section)
{
    return str_in_list(r->wanted, section);
}

/* ---- Building ---- */
json_t *reading_section(struct reading *r, const char *name)
{
    json_t *found = json_object_get(r->sections, name);
    if (!found) {
        found = json_object();
        json_put(r->sections, name, found);
    }
    return found;
}

/* Value of one member as `kind` says. New reference. */
static json_t *kept(const json_t *value, const char *kind)
{
    if (str_eq(kind, "n"))
        return json_integer(json_integer_value(value));
    if (str_eq(kind, "b"))
        return json_boolean(json_is_true(value));
    if (str_eq(kind, "set"))
        return shape_set(value);
    if (str_eq(kind, "map"))
        return json_is_object(value) ? json_deep_copy(value) : json_object();
    if (str_eq(kind, "any"))
        return json_copy_or_null(value);
    return json_string(json_is_string(value) ? json_string_value(value) : "");
}

json_t *reading_pick(const json_t *from, const char *fields)
{
    json_t *to = json_object();
    AUTO_FREE char *words = mem_dup(fields);
    for (char *at = words; *at;) {
        size_t len = strcspn(at, " ");
        char *next = at + len + (at[len] != 0);
        at[len] = 0;
        char *kind = strchr(at, ':');
        if (kind)
            *kind++ = 0;
        char *as = strchr(at, '>');
        if (as)
            *as++ = 0;
        json_put(to, as ? as : at, kept(json_object_get(from, at), kind ? kind : ""));
        at = next;
    }
    return to;
}

void reading_lists(struct reading *r)
{
    for (const struct reading_list *l = r->group->lists; l->section; l++) {
        struct err err;
        json_t *args = l->args ? json_read(l->args, strlen(l->args), 0, &err) : NULL;
        const json_t *facts = reading_ask(r, l->key, l->op, args);
        size_t i = 0;
        json_t *one = NULL;
        if (!r->is_building)
            continue;
        json_array_foreach (json_object_get(facts, l->list), i, one)
            json_put(reading_section(r, l->section), json_str_at(one, l->id), reading_pick(one, l->fields));
    }
}

/* ---- Passes ---- */
struct walk {
    struct step *s;
    const char *name;
    const char *wanted; /* sections of this pass, comma list */
    int pass;
};

static bool has_any(const struct reading_group *g, const char *wanted)
{
    AUTO_FREE char *names = mem_dup(g->sections);
    for (char *at = names; *at;) {
        size_t len = strcspn(at, ",");
        char *next = at + len + (at[len] != 0);
        at[len] = 0;
        if (str_in_list(wanted, at))
            return true;
        at = next;
    }
    return false;
}

/* Empty sections are sections, too. */
static void add_empty(struct reading *r)
{
    for (size_t i = 0; fingerprint_sections[i]; i++)
        if (str_in_list(r->group->sections, fingerprint_sections[i]) && reading_wants(r, fingerprint_sections[i]))
            (void)reading_section(r, fingerprint_sections[i]);
}

/* One group of one pass, from what an earlier worker left or from AWS: the group's sections. */
static enum step_result read_group(const struct walk *w, const struct reading_group *g, const json_t **ret)
{
    const char *key = step_text(w->s, "%s%s%d/%s", w->name, w->name[0] ? "/" : "", w->pass, g->name);
    TRY(step_chunk(w->s, key, CHUNK_AGE_MS_MAX, ret));
    if (*ret)
        return STEP_DONE;
    struct reading r = {.s = w->s, .name = w->name, .wanted = w->wanted, .pass = w->pass, .all = STEP_DONE, .group = g};
    g->read(&r);
    TRY(r.all);
    r.is_building = true;
    r.sections = step_keep(w->s, json_object());
    g->read(&r);
    add_empty(&r);
    TRY(r.all);
    *ret = step_keep_chunk(w->s, key, json_incref(r.sections));
    return STEP_DONE;
}

/* All wanted groups once; *ret holds their sections when all of them answered. */
static enum step_result read_pass(const struct walk *w, json_t **ret)
{
    enum step_result all = STEP_DONE;
    *ret = step_keep(w->s, json_object());
    for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
        const json_t *sections = NULL;
        if (!has_any(&groups[g], w->wanted))
            continue;
        step_also(&all, read_group(w, &groups[g], &sections));
        if (sections)
            json_object_update(*ret, (json_t *)(uintptr_t)sections);
    }
    return all;
}

/* Names of the sections of `now` that `last` had otherwise, as a comma list. */
static const char *unequal(struct step *s, const json_t *last, const json_t *now)
{
    AUTO_STR struct str list;
    const char *name = NULL;
    json_t *value = NULL;
    str_init(&list, 4096);
    json_object_foreach ((json_t *)(uintptr_t)now, name, value) {
        if (!json_equal(json_object_get(last, name), value))
            str_addf(&list, "%s%s", list.len ? "," : "", name);
    }
    return step_text(s, "%s", list.data);
}

/* [{section, digests: [last but one, last]}]. New reference. */
static json_t *list_unstable(const json_t *last, const json_t *now, const char *names)
{
    json_t *list = json_array(), *value = NULL;
    const char *name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)now, name, value) {
        if (!str_in_list(names, name))
            continue;
        char old_digest[65], new_digest[65];
        json_digest(json_object_get(last, name), old_digest);
        json_digest(value, new_digest);
        json_array_append_new(list, json_make("{s:s,s:[s,s]}", "section", name, "digests", old_digest, new_digest));
    }
    json_sort_by(list, "section");
    return list;
}

static enum step_result read_equal(struct walk *w, json_t *sections, json_t **ret_unstable)
{
    json_t *last = NULL, *now = NULL;
    w->pass = 1;
    TRY(read_pass(w, &last));
    json_object_update(sections, last);
    for (w->pass = 2; w->wanted[0]; w->pass++) {
        TRY(read_pass(w, &now));
        w->wanted = unequal(w->s, last, now);
        json_object_update(sections, now);
        if (w->pass == PASSES_MAX) {
            *ret_unstable = step_keep(w->s, list_unstable(last, now, w->wanted));
            break;
        }
        last = now;
    }
    return STEP_DONE;
}

/* ---- The whole ---- */
/* Who recomputes the root must look into the same regions: a trail or an instance in another one would not be seen. */
static json_t *regions_asked(struct step *s, const json_t *sections)
{
    json_t *buckets = json_array(), *bucket = NULL;
    const char *name = NULL;
    json_object_foreach (json_object_get(sections, "s3"), name, bucket)
        json_array_append_new(buckets, json_incref(json_object_get(bucket, "region")));
    json_t *regions = reading_regions_of(s, buckets);
    json_decref(buckets);
    return regions;
}

static const char *all_sections(struct step *s)
{
    AUTO_STR struct str list;
    str_init(&list, 4096);
    for (size_t i = 0; fingerprint_sections[i]; i++)
        str_addf(&list, "%s%s", i ? "," : "", fingerprint_sections[i]);
    return step_text(s, "%s", list.data);
}

enum step_result fingerprint_read_sections(struct step *s, const char *name, const char *sections, const json_t **ret)
{
    struct walk w = {.s = s, .name = name, .wanted = sections ? sections : all_sections(s)};
    json_t *found = step_keep(s, json_object()), *unstable = step_keep(s, json_array());
    TRY(read_equal(&w, found, &unstable));
    json_t *fingerprint =
        step_keep(s, json_make("{s:O,s:O,s:I}", "sections", found, "unstable", unstable, "taken_ms",
                               (json_int_t)step_now(s, step_text(s, "%s%staken", name, name[0] ? "/" : ""))));
    json_put(fingerprint, "regions", regions_asked(s, found));
    fingerprint_seal(fingerprint);
    *ret = fingerprint;
    return STEP_DONE;
}

enum step_result fingerprint_read(struct step *s, const json_t **ret)
{
    return fingerprint_read_sections(s, "", NULL, ret);
}

/* Reads an import from the queue and makes its texts JSON; big results are fetched by digest, and what lists need of
 * them (verdict, grade, exposure, warnings) is kept, since content with a digest never changes. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "dispatcher/api/drift_run.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/loose.h"

#include <zstd.h>

#define FACTS_MAX 20000
#define DOCUMENTS_MAX 20000
#define BLOB_MAX ((size_t)64 << 20)

struct fetch {
    struct api *api;
    import_fetch_fn *done;
    void *arg;
    json_t *value;
    bool all_results;
    const char *whole; /* comma list of steps whose big results are wanted; static text */
    uint32_t waiting;
};

struct blob {
    struct fetch *fetch;
    json_t *step;
    const char *key; /* "result" or "undo" */
    char digest[65];
};

/* Looks for drift: what their end says to the event stream is known once they have ended. */
static void remember_look(struct api *api, const json_t *value)
{
    const char *event = drift_event(value);
    json_t *known = json_object_get(api->documents, json_str_at(value, "id"));
    if (!known || !str_eq(json_str_at(value, "state"), "completed"))
        return;
    json_put_str(known, "drift_event", event ? event : "");
}

static void finish(struct fetch *f, const struct err *err)
{
    if (!err && json_has(f->value, "doc.drift_of"))
        remember_look(f->api, f->value);
    f->done(f->arg, err, err ? NULL : f->value);
    json_decref(f->value);
    mem_free(f);
}

/* Texts as stored become JSON; what cannot be read is left out rather than spoiling the whole. */
static void make_json(json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return;
    struct err err;
    json_t *parsed =
        *json_string_value(value) ? json_read(json_string_value(value), json_string_length(value), 0, &err) : NULL;
    json_put(object, key, parsed ? parsed : json_null());
}

static json_t *small_facts(const json_t *result)
{
    static const char *const kept[] = {"verdict",
                                       "grade",
                                       "warnings",
                                       "exposure_opened_ms",
                                       "exposure_closed_ms",
                                       "found",
                                       "is_new",
                                       "counts",
                                       "created",
                                       "relationship",
                                       "remains",
                                       "summary"};
    json_t *out = json_object();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (json_has(result, kept[i]))
            json_put(out, kept[i], json_deep_copy(json_at(result, kept[i])));
    return out;
}

static json_t *inflate(const void *bytes, size_t len)
{
    unsigned long long size = ZSTD_getFrameContentSize(bytes, len);
    struct err err;
    if (size == ZSTD_CONTENTSIZE_ERROR) /* stored as it is */
        return json_read(bytes, len, 0, &err);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size > BLOB_MAX)
        return NULL;
    AUTO_FREE char *text = mem_alloc((size_t)size + 1);
    size_t n = ZSTD_decompress(text, (size_t)size, bytes, len);
    return ZSTD_isError(n) ? NULL : json_read(text, n, 0, &err);
}

/* The reference stays visible ("$blob"), with the small facts beside it. */
static void put_facts(json_t *step, const char *key, const json_t *facts)
{
    (void)json_object_update_missing(json_object_get(step, key), loose(facts));
}

static bool is_whole(const struct fetch *f, const json_t *step)
{
    return f->all_results || str_in_list(f->whole, json_str_at(step, "name"));
}

static void blob_read(void *arg, const struct err *err, const void *bytes, size_t len)
{
    struct blob *b = arg;
    struct fetch *f = b->fetch;
    json_auto_t *result = err || !bytes ? NULL : inflate(bytes, len);
    if (!result) {
        json_put_bool(f->value, "is_partial", true); /* shown as it is, but not remembered */
    } else {
        json_t *facts = small_facts(result);
        if (json_object_size(f->api->facts) >= FACTS_MAX)
            json_object_clear(f->api->facts);
        json_put(f->api->facts, b->digest, facts);
        if (is_whole(f, b->step))
            json_put(b->step, b->key, json_incref(result));
        else
            put_facts(b->step, b->key, facts);
    }
    json_decref(b->step);
    mem_free(b);
    if (--f->waiting == 0)
        finish(f, NULL);
}

static void resolve(struct fetch *f, const char *import_id, json_t *step, const char *key)
{
    const char *digest = json_str_at(json_object_get(step, key), "$blob");
    if (strlen(digest) != 64)
        return;
    const json_t *known = json_object_get(f->api->facts, digest);
    if (known && !is_whole(f, step)) {
        put_facts(step, key, known);
        return;
    }
    struct blob *b = MEM_NEW(struct blob);
    b->fetch = f;
    b->step = json_incref(step);
    b->key = key;
    memcpy(b->digest, digest, 65);
    f->waiting++;
    queue_blob_get(f->api->store->queue, import_id, digest, blob_read, b);
}

void import_remember(struct api *api, const char *import_id, const json_t *doc)
{
    if (json_object_get(api->documents, import_id) || !json_at(doc, "steps"))
        return;
    if (json_object_size(api->documents) >= DOCUMENTS_MAX)
        json_object_clear(api->documents);
    /* The names of the steps are the playbook's: one list for all its imports. */
    const char *playbook = json_str_at(doc, "playbook");
    json_t *steps = json_object_get(api->playbook_steps, playbook);
    if (!steps) {
        steps = json_incref(json_object_get(doc, "steps"));
        json_put(api->playbook_steps, playbook, steps);
    }
    json_put(api->documents, import_id,
             json_make("{s:s, s:O}", "external_ref", json_str_at(doc, "external_ref"), "steps", steps));
    if (json_has(doc, "drift_of"))
        json_put_str(json_object_get(api->documents, import_id), "drift_of", json_str_at(doc, "drift_of"));
}

static void got(void *arg, const struct err *err, json_t *value)
{
    struct fetch *f = arg;
    f->value = value;
    if (err) {
        finish(f, err);
        return;
    }
    make_json(value, "doc");
    const json_t *doc = json_object_get(value, "doc");
    const char *id = json_str_at(value, "id");
    import_remember(f->api, id, doc);
    size_t i;
    json_t *step;
    f->waiting = 1;
    json_array_foreach (json_object_get(value, "steps"), i, step) {
        make_json(step, "result");
        make_json(step, "undo");
        make_json(step, "error");
        make_json(step, "task");
        if (!*json_str_at(step, "name"))
            json_put_str(step, "name", import_step_name(doc, i));
        resolve(f, id, step, "result");
        resolve(f, id, step, "undo");
    }
    if (--f->waiting == 0)
        finish(f, NULL);
}

void import_fetch(struct api *api, const char *import_id, bool all_results, import_fetch_fn *done, void *arg)
{
    struct fetch *f = MEM_NEW(struct fetch);
    *f = (struct fetch){.api = api, .done = done, .arg = arg, .all_results = all_results, .whole = ""};
    queue_get(api->store->queue, import_id, got, f);
}

void import_fetch_steps(struct api *api, const char *import_id, const char *steps, import_fetch_fn *done, void *arg)
{
    struct fetch *f = MEM_NEW(struct fetch);
    *f = (struct fetch){.api = api, .done = done, .arg = arg, .whole = steps};
    queue_get(api->store->queue, import_id, got, f);
}

#include "worker/runtime/trail.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/crypto/crypto.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#define SEGMENT_TEXT_BYTES_MAX (64u * 1024u * 1024u)
#define CURSOR_EVERY_MS 300000u /* a cursor alone is stored this often: the overlap is longer */

void trail_init(struct trail *t, const char *region)
{
    *t = (struct trail){.list = json_array(), .ids = json_object(), .unsaved = json_array(), .segments = json_object()};
    (void)snprintf(t->region, sizeof t->region, "%s", region);
}

void trail_done(struct trail *t)
{
    json_decref(t->list);
    json_decref(t->ids);
    json_decref(t->unsaved);
    json_decref(t->segments);
}

uint64_t trail_from(const struct trail *t, uint64_t created_ms)
{
    uint64_t from = t->until_ms ? t->until_ms : created_ms;
    return from > TRAIL_OVERLAP_MS ? from - TRAIL_OVERLAP_MS : 0;
}

/* ---- Events ---- */
/* Adds those of `found` that are new, to `fresh` too where it is given. */
static void add_events(struct trail *t, const json_t *found, json_t *fresh)
{
    json_t *list = json_copy(t->list), *event = NULL;
    size_t i = 0, was = json_array_size(list);
    json_array_foreach ((json_t *)(uintptr_t)found, i, event) {
        const char *id = json_str_at(event, "id");
        if (!*id || json_object_get(t->ids, id))
            continue;
        json_put(t->ids, id, json_true());
        (void)json_array_append(list, event);
        if (fresh)
            (void)json_array_append(fresh, event);
    }
    if (json_array_size(list) == was) {
        json_decref(list);
        return;
    }
    json_sort_by(list, "at_ms");
    json_decref(t->list);
    t->list = list;
}

void trail_merge(struct trail *t, const json_t *found, uint64_t until_ms, size_t events_max,
                 const struct attribution_scope *ours)
{
    add_events(t, found, t->unsaved);
    if (until_ms > t->until_ms)
        t->until_ms = until_ms;
    if (json_array_size(t->list) > events_max)
        trail_shed(t, events_max, ours);
}

/* Those of `from` that stay; `drops` more may go, of the useless ones only while `only_useless`. New reference. */
static json_t *kept_of(const json_t *from, size_t *drops, bool only_useless, const struct attribution_scope *ours)
{
    json_t *kept = json_array(), *event = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)from, i, event) {
        if (*drops && (!only_useless || !attribution_may_matter(ours, event)))
            --*drops;
        else
            (void)json_array_append(kept, event);
    }
    return kept;
}

void trail_shed(struct trail *t, size_t most, const struct attribution_scope *ours)
{
    size_t size = json_array_size(t->list), drops = size > most ? size - most : 0;
    for (int only_useless = 1; only_useless >= 0 && drops; only_useless--) {
        json_t *kept = kept_of(t->list, &drops, only_useless, ours);
        json_decref(t->list);
        t->list = kept;
    }
}

/* ---- Out of the store ---- */
static json_t *segment_read(const struct queue_trail_part *part)
{
    unsigned long long size = ZSTD_getFrameContentSize(part->bytes, part->len);
    struct err err;
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > SEGMENT_TEXT_BYTES_MAX)
        return NULL;
    AUTO_FREE char *text = mem_alloc((size_t)size + 1);
    size_t n = ZSTD_decompress(text, (size_t)size, part->bytes, part->len);
    json_t *segment = ZSTD_isError(n) ? NULL : json_read(text, n, 0, &err);
    if (segment && json_int_at(segment, "v") == 1 && json_is_array(json_object_get(segment, "events")))
        return segment;
    json_decref(segment);
    return NULL;
}

static void absorb_cursor(struct trail *t, const struct queue_trail_part *part)
{
    uint64_t until_ms = 0;
    AUTO_FREE char *text = mem_dup_bytes(part->bytes, part->len);
    if (str_to_u64(text, INT64_MAX, &until_ms))
        t->saved_until_ms = until_ms;
}

static void absorb_segment(struct trail *t, const struct queue_trail_part *part)
{
    json_auto_t *segment = segment_read(part);
    if (segment)
        add_events(t, json_object_get(segment, "events"), NULL);
    t->is_torn |= !segment;
    json_put_int(t->segments, part->name, (int64_t)part->len); /* a torn one goes with the next whole */
}

/* Our own events and those of the store together cover all before the later of both cursors. */
void trail_absorb(struct trail *t, const struct queue_trail_part *parts, size_t count)
{
    size_t len = strlen(t->region);
    json_object_clear(t->segments);
    t->saved_until_ms = 0;
    t->is_torn = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i].name, t->region) == 0)
            absorb_cursor(t, &parts[i]);
        else if (strncmp(parts[i].name, t->region, len) == 0 && parts[i].name[len] == '/')
            absorb_segment(t, &parts[i]);
    }
    if (t->is_torn)
        t->saved_until_ms = 0;
    if (t->saved_until_ms > t->until_ms)
        t->until_ms = t->saved_until_ms;
}

/* ---- Into the store ---- */
static void segment_make(const json_t *events, const char *region, struct trail_save *save)
{
    json_auto_t *segment = json_make("{s:i, s:O}", "v", 1, "events", events);
    AUTO_FREE char *text = json_text(segment);
    size_t len = strlen(text), room = ZSTD_compressBound(len);
    char digest[65];
    mem_free(save->bytes);
    save->bytes = mem_alloc(room);
    size_t n = ZSTD_compress(save->bytes, room, text, len, 3);
    ASSERT(!ZSTD_isError(n)); /* the room is enough by definition */
    crypto_sha256_hex(text, len, digest);
    (void)snprintf(save->name, sizeof save->name, "%s/%.24s", region, digest);
    save->parts[0] = (struct queue_trail_part){save->name, save->bytes, n};
    save->count = 1;
}

static uint64_t stored_bytes(const struct trail *t)
{
    uint64_t sum = 0;
    const char *name = NULL;
    json_t *bytes = NULL;
    json_object_foreach (t->segments, name, bytes)
        sum += (uint64_t)json_integer_value(bytes);
    return sum;
}

/* One segment of all, in place of all others. */
static void make_whole(struct trail *t, const struct attribution_scope *ours, struct trail_save *save)
{
    const char *name = NULL;
    json_t *bytes = NULL;
    segment_make(t->list, t->region, save);
    while (save->parts[0].len > TRAIL_STORED_BYTES_MAX / 2) { /* half: or the next small one would be too much again */
        trail_shed(t, json_array_size(t->list) * 3 / 4, ours);
        segment_make(t->list, t->region, save);
    }
    json_object_foreach (t->segments, name, bytes)
        if (strcmp(name, save->name) != 0 && json_array_size(save->gone) < QUEUE_TRAIL_PARTS_MAX)
            (void)json_array_append_new(save->gone, json_string(name));
}

static bool must_be_whole(const struct trail *t, size_t more)
{
    return t->is_torn || json_object_size(t->segments) >= TRAIL_SEGMENTS_MAX ||
           stored_bytes(t) + more > TRAIL_STORED_BYTES_MAX;
}

void trail_save_begin(struct trail *t, const struct attribution_scope *ours, struct trail_save *ret)
{
    bool has_events = json_array_size(t->unsaved) > 0;
    *ret = (struct trail_save){.gone = json_array(), .until_ms = t->until_ms, .events = t->unsaved};
    t->unsaved = json_array();
    if (!has_events && t->saved_until_ms && t->until_ms < t->saved_until_ms + CURSOR_EVERY_MS)
        return;
    if (has_events)
        segment_make(ret->events, t->region, ret);
    if ((has_events || t->is_torn) && must_be_whole(t, ret->count ? ret->parts[0].len : 0))
        make_whole(t, ours, ret);
    int n = snprintf(ret->cursor, sizeof ret->cursor, "%llu", (unsigned long long)t->until_ms);
    ret->parts[ret->count++] = (struct queue_trail_part){t->region, ret->cursor, (size_t)n};
}

static void stored(struct trail *t, const struct trail_save *save)
{
    size_t i = 0;
    json_t *name = NULL;
    json_array_foreach (save->gone, i, name)
        (void)json_object_del(t->segments, json_string_value(name));
    if (*save->name)
        json_put_int(t->segments, save->name, (int64_t)save->parts[0].len);
    if (save->until_ms > t->saved_until_ms)
        t->saved_until_ms = save->until_ms;
    t->is_torn = false;
}

void trail_save_end(struct trail *t, struct trail_save *save, bool is_stored)
{
    if (is_stored && save->count) {
        stored(t, save);
    } else if (!is_stored) { /* or it is there all the same: the same events twice do no harm */
        json_array_extend(save->events, t->unsaved);
        json_decref(t->unsaved);
        t->unsaved = json_incref(save->events);
    }
    trail_save_drop(save);
}

void trail_save_drop(struct trail_save *save)
{
    json_decref(save->events);
    json_decref(save->gone);
    mem_free(save->bytes);
}

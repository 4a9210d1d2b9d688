/* What an import knows of CloudTrail in one region: its events and how far it has looked. Pure.
 *
 * CloudTrail keeps 90 days and an import may take longer, so what was found is kept with the import, and whoever takes
 * over goes on from its cursor. Parts in store (common/queue/queue_trail.h):
 *
 *   REGION         until when events were asked for, in ms, as text
 *   REGION/DIGEST  a segment: zstd of {"v":1,"events":[..]}, named by its content; only ever added, until one segment
 * of all replaces many
 *
 * Invariant: the segments in store hold every event before the cursor in store, but for what trail_shed() gave up. */
#pragma once

#include "common/proof/attribution.h"
#include "common/queue/queue_trail.h"

#define TRAIL_OVERLAP_MS 900000u /* CloudTrail delivers late and out of order: each look goes back this far */
#define TRAIL_SEGMENTS_MAX 32u   /* then they become one */
#define TRAIL_STORED_BYTES_MAX (1024u * 1024u) /* of one region, compressed */
#define TRAIL_NAME_BYTES 64

struct trail {
    char region[32];
    json_t *list;            /* oldest first; replaced, never changed: steps may hold the one before */
    json_t *ids;             /* set: of what was dropped too, so that it does not come back with the overlap */
    json_t *unsaved;         /* events that no segment holds */
    json_t *segments;        /* name -> bytes, as stored */
    uint64_t until_ms;       /* events before this were asked for */
    uint64_t saved_until_ms; /* the same in store */
    bool is_torn;            /* a stored segment cannot be read: its events are asked for again */
};
void trail_init(struct trail *t, const char *region);
void trail_done(struct trail *t);
/* Where the next look begins. */
uint64_t trail_from(const struct trail *t, uint64_t created_ms);
/* A look that asked for everything before `until_ms`. `events_max`: how many are kept, see trail_shed(). */
void trail_merge(struct trail *t, const json_t *found, uint64_t until_ms, size_t events_max,
                 const struct attribution_scope *ours);
/* Takes in what the store has, beside what is known already; parts of other regions are passed over. */
void trail_absorb(struct trail *t, const struct queue_trail_part *parts, size_t count);
/* Gives up events until `most` are left: first the oldest of those that can prove nothing (no line of the table
 * attribution.def names them, nobody's root did them, we did not), then the oldest of all. */
void trail_shed(struct trail *t, size_t most, const struct attribution_scope *ours);

/* What is to be stored now; count 0: nothing worth a trip. */
struct trail_save {
    struct queue_trail_part parts[2];
    size_t count;
    json_t *gone;   /* names */
    json_t *events; /* unsaved again if it fails */
    char name[TRAIL_NAME_BYTES], cursor[24];
    void *bytes;
    uint64_t until_ms;
};
void trail_save_begin(struct trail *t, const struct attribution_scope *ours, struct trail_save *ret);
void trail_save_end(struct trail *t, struct trail_save *save, bool is_stored);
void trail_save_drop(struct trail_save *save); /* when nobody wants to know its end */

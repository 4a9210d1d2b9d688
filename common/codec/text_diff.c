/* Longest common subsequence over lines, as a table: policy documents are short. Longer texts than the table takes are
 * shown as wholly replaced, which is true as well. */
#include "common/codec/text_diff.h"

#include "common/base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LINES_MAX 1500
#define AROUND 2

struct line {
    const char *text;
    size_t len;
};
struct lines {
    struct line *items;
    size_t count;
};

static struct lines split(const char *text)
{
    struct lines all = {0};
    size_t room = 1;
    for (const char *p = text; *p; p++)
        room += *p == '\n';
    all.items = mem_alloc(room * sizeof *all.items);
    while (*text) {
        size_t len = strcspn(text, "\n");
        all.items[all.count++] = (struct line){text, len};
        text += len + (text[len] == '\n');
    }
    return all;
}

static bool is_same(const struct line *a, const struct line *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

struct edit {
    char sign;
    struct line line;
};

/* common[i][j]: length of the longest common run of a[i..] and b[j..]. */
static uint16_t *table_of(const struct lines *a, const struct lines *b)
{
    size_t width = b->count + 1;
    uint16_t *common = mem_alloc((a->count + 1) * width * sizeof *common);
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            uint16_t down = common[(i + 1) * width + j], right = common[i * width + j + 1];
            uint16_t best = down > right ? down : right;
            common[i * width + j] =
                is_same(&a->items[i], &b->items[j]) ? (uint16_t)(common[(i + 1) * width + j + 1] + 1) : best;
        }
    return common;
}

static size_t walk(const struct lines *a, const struct lines *b, struct edit *ret)
{
    bool fits = a->count <= LINES_MAX && b->count <= LINES_MAX;
    AUTO_FREE uint16_t *common = fits ? table_of(a, b) : NULL;
    size_t i = 0, j = 0, n = 0, width = b->count + 1;
    while (common && i < a->count && j < b->count) {
        if (is_same(&a->items[i], &b->items[j])) {
            ret[n++] = (struct edit){' ', a->items[i++]};
            j++;
        } else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            ret[n++] = (struct edit){'-', a->items[i++]};
        } else {
            ret[n++] = (struct edit){'+', b->items[j++]};
        }
    }
    while (i < a->count)
        ret[n++] = (struct edit){'-', a->items[i++]};
    while (j < b->count)
        ret[n++] = (struct edit){'+', b->items[j++]};
    return n;
}

static bool is_near_change(const struct edit *edits, size_t count, size_t at)
{
    size_t from = at > AROUND ? at - AROUND : 0, to = at + AROUND < count ? at + AROUND : count - 1;
    for (size_t i = from; i <= to; i++)
        if (edits[i].sign != ' ')
            return true;
    return false;
}

void text_diff(const char *before, const char *after, text_diff_fn *take, void *arg)
{
    struct lines a = split(before), b = split(after);
    struct edit *edits = mem_alloc((a.count + b.count + 1) * sizeof *edits);
    size_t count = walk(&a, &b, edits);
    bool is_left_out = false;
    for (size_t i = 0; i < count; i++) {
        bool is_shown = is_near_change(edits, count, i);
        if (is_shown)
            take(arg, edits[i].sign, edits[i].line.text, edits[i].line.len);
        else if (!is_left_out)
            take(arg, '@', "...", 3);
        is_left_out = !is_shown;
    }
    mem_free(edits);
    mem_free(a.items);
    mem_free(b.items);
}

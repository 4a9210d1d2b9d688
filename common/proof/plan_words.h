/* A plan as text, like a good diff: one line per thing, its documents before and after, what people do, what it costs.
 * Used by the command line and by the API for those who accept plain text. Pure. */
#pragma once

#include "common/codec/json.h"

struct plan_words_options {
    bool has_colours;
    bool is_short; /* no documents, no arguments */
};
/* `plan`: the document of worker/steps/plan_document.h. Appends to `out`. */
void plan_words(const json_t *plan, const struct plan_words_options *options, struct str *out);

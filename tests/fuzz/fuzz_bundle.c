/* The offline verifier: whatever the bytes are, it answers, and it calls nothing good that this key has not signed. */
#include "common/base/assert.h"
#include "common/proof/bundle_check.h"
#include "common/proof/ledger_story.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char nobody[32] = {1}; /* a point of small order: nothing that we sign verifies under it */
    struct bundle_report r;
    bundle_check((const char *)data, size, nobody, &r);
    ASSERT(!bundle_is_good(&r));
    json_t *story =
        ledger_story(json_at(r.bundle, "payload.ledger.lines"), json_at(r.bundle, "payload.import.document.steps"));
    ASSERT(json_is_array(story));
    json_decref(story);
    bundle_report_done(&r);
    return 0;
}

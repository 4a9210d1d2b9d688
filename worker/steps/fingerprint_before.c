/* fingerprint_before: the organization as it is before anything changes.   Process: FAQ "should I expect anything to
 * break?". Reads only. What it leaves is the yardstick of fingerprint_after. */
#include "common/aws/services/account.h"
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/data_exports.h"
#include "common/aws/services/features.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/taxsettings.h"
#include "worker/steps/fingerprint_read.h"

static enum step_result run(struct step *s)
{
    const json_t *fingerprint = NULL;
    uint64_t began_ms = step_now(s, "began"); /* what others do from here on may or may not be in it */
    TRY(fingerprint_read(s, &fingerprint));
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(fingerprint, "unstable"), i, one)
        step_warn(s, "section %s kept changing while we read it; differences there need a person's eye",
                  json_str_at(one, "section"));
    step_set(s, "fingerprint", json_incref((json_t *)(uintptr_t)fingerprint));
    step_set(s, "began_ms", json_integer((json_int_t)began_ms));
    step_set_str(s, "root", json_str_at(fingerprint, "root"));
    return STEP_DONE;
}

const struct step_def step_fingerprint_before = {
    .name = "fingerprint_before",
    .item = "FAQ",
    .run = run,
    .ops = OPS(FINGERPRINT_OPS),
    .version = 1,
    .only_looks = true,
};

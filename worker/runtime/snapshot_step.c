#include "worker/runtime/snapshot_step.h"

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
    TRY(fingerprint_read(s, &fingerprint));
    step_set(s, "fingerprint", json_incref((json_t *)(uintptr_t)fingerprint));
    step_set(s, "regions", json_incref(json_object_get(fingerprint, "regions")));
    return STEP_DONE;
}

const struct step_def snapshot_step = {
    .name = "snapshot", .item = "FAQ", .run = run, .ops = OPS(FINGERPRINT_OPS), .version = 1, .only_looks = true};

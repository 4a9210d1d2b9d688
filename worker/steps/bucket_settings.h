/* What the report bucket must be like, and the taking back of it. */
#pragma once

#include "common/aws/services/s3.h"
#include "worker/step.h"

/* Tags, public access block, ownership, encryption, policy: DONE when all five were read back right. */
enum step_result bucket_settings_have(struct step *s);
/* Whether the policy of a bucket that we made holds statements of others. */
enum step_result bucket_settings_find_foreign(struct step *s, const char *region, bool *ret);
/* For a bucket that was there before us, or that others use by now: our statements leave its policy. `ret_why_not`: S3
 * refused, because what others put there is public; NULL otherwise. Ours are taken out, if this import put
 * them there. */
enum step_result bucket_settings_take_back_policy(struct step *s, const char *region, const char **ret_why_not);

/* The bucket with its settings as one entry "s3.settings" of a bracket: {region, tags, policy: {Sid: statement},
 * public_access, ownership, encryption}. */
enum step_result bucket_settings_touches(struct step *s, json_t *reading);

/* What bucket_settings_touches() reads. */
#define BUCKET_LOOK_OPS                                                                                                \
    &s3_get_bucket_location, &s3_get_bucket_tagging, &s3_get_public_access_block, &s3_get_bucket_ownership,            \
        &s3_get_bucket_encryption, &s3_get_bucket_policy

#define BUCKET_SETTINGS_OPS                                                                                            \
    &s3_get_bucket_tagging, &s3_put_bucket_tagging, &s3_get_public_access_block, &s3_put_public_access_block,          \
        &s3_get_bucket_ownership, &s3_put_bucket_ownership, &s3_get_bucket_encryption, &s3_put_bucket_encryption,      \
        &s3_get_bucket_policy, &s3_put_bucket_policy, &s3_delete_bucket_policy

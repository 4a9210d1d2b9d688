/* Whose call an event of CloudTrail is: the one rule by which a verdict, a reconciliation and every report decide that
 * an event was caused by an import. Pure.
 *
 * THE RULE. An event is an import's own when any of these holds:
 *   SESSION   its principal is an assumed role whose session is named after the import, whatever the role: we name
 *             sessions so, in every role that we take
 *   IDENTITY  its source identity is the import's id: it stays with all sessions that are made from ours
 *   KEY       it was signed with an access key that was handed over for the import, and the user agent does not tell
 *             of another program: our client names the import there in every call, and the key stays its owner's, who
 *             may use it meanwhile. An event without a user agent counts as ours: nothing is excused by what is missing
 * Anything else is somebody else's: the root user (people, not our software), an AWS service, the operator's own
 * principals, another import, another session of a role that is called like ours. */
#pragma once

#include "common/codec/json.h"

#define OURS_KEYS_MAX 4

struct ours {                        /* borrowed */
    const char *import_id;           /* "" or NULL: no session and no identity is ours */
    const char *keys[OURS_KEYS_MAX]; /* access key ids that were handed over; filled from the front */
};
/* `access_key_id` "" is none, and a second time is once. More than fit are dropped by nobody: asserts. */
void ours_add_key(struct ours *ours, const char *access_key_id);
/* Event as cloudtrail:LookupEvents gives it: {user, source_identity, access_key_id, agent, ..}; any may be absent. */
bool ours_caused(const struct ours *ours, const json_t *event);
/* Whether the event can be of that operation of ours ("s3:PutPublicAccessBlock"): CloudTrail names some of S3's
 * otherwise ("PutBucketPublicAccessBlock"), and an operation's variant ("sts:GetCallerIdentity/retired") is none there.
 */
bool ours_is_op(const char *op, const json_t *event);

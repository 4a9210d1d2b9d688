/* The root user's second factors on their way back: whose is which. Shared by the undo of root_mfa (the customer's
 * device is registered again beside ours) and of root_mfa_handover (ours go, last of all). The root user is never
 * without a second factor that it had before. */
#pragma once

#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/iam.h"
#include "worker/step.h"

struct root_devices {
    const json_t *summary, *devices, *events; /* as read now */
    const json_t *before;                     /* the root user in the fingerprint before */
    uint64_t taken_ms;                        /* when that was taken */
    json_t *listed;                           /* serials of root's virtual devices now */
    json_t *enabled;                          /* serials that the root user registered since the undo asked for it */
};
#define ROOT_DEVICES_OPS &iam_get_account_summary, &iam_list_virtual_mfa_devices, &cloudtrail_lookup_events

/* `since_ms`: when the undo asked for the customer's device first. */
enum step_result root_devices_read(struct step *s, uint64_t since_ms, struct root_devices *ret);
/* Whether a device of the customer's protects the root user: one of before, or one registered since. */
bool root_devices_has_theirs(const struct root_devices *d);
/* Ours that are still there: listed ones that are neither of before nor registered since, and the unlisted ones (keys,
 * passkeys) of the hand-over until an event tells that they went. New reference. */
json_t *root_devices_ours(const struct root_devices *d, const json_t *handover, uint64_t since_ms);
bool root_devices_had_any(const struct root_devices *d);
/* New ones that were registered since the undo asked: the customer's, as asked, or of an operator who finished a task
 * of the forward run that was closed meanwhile. Nothing at AWS tells which: the customer says it. New reference. */
json_t *root_devices_strange(const struct root_devices *d);

struct root_end {            /* the root user at the end of an undo; borrowed */
    const json_t *had, *has; /* entry "root" of section iam.account, before and now */
    const json_t *events;    /* CloudTrail's, for keys and passkeys: no list shows those */
    const json_t *ours;      /* serials that the hand-over named as the operator's */
    uint64_t taken_ms;       /* when the fingerprint before was taken */
};
/* All that differs on the root user from before, device by device, as remainders (ownership_remains). Whatever else
 * explains it, an undo that leaves something there says so. A key or passkey whose event has not come yet is not
 * seen. New reference. */
json_t *root_devices_remain(const struct root_end *end);

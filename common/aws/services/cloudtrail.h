/* CloudTrail's event history: evidence for what people do where AWS has no other read.
 *   lookup_events {start_ms, end_ms}   {events: [{id, name, source, at_ms, user_type, user, ip, access_key_id, request,
 *                                       response, hash}]}: writes only, all pages, in AWS's order (none). `hash` is the
 *                                       SHA-256 of the event's full text. Credentials inside an event are dropped.
 *   describe_trails    {trails: [{arn, name, home, bucket, prefix, topic, key, log_group, log_role, multi_region,
 *                       global_events, organization, validation, insights, selectors}]}, of the call's region and of
 *                       trails that cover it
 *   get_trail_status {Name}   {logging}; null: gone */
#pragma once

#include "common/aws/op.h"

extern const struct aws_op cloudtrail_lookup_events;
extern const struct aws_op cloudtrail_describe_trails;
extern const struct aws_op cloudtrail_get_trail_status;

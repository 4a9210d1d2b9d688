/* Partitions of AWS as data. Used by the client for every region and by the step that identifies the organization. */
#pragma once

#include "common/base/err.h"

#include <stdbool.h>

struct aws_partition {
    const char *name;          /* "aws" */
    const char *prefixes;      /* "us,eu,..": first part of its regions */
    const char *dns_suffix;    /* "amazonaws.com" */
    const char *dual_suffix;   /* "api.aws" */
    const char *global_region; /* where the global services sign */
    bool is_supported;
};
/* NULL when no partition has that name. */
const struct aws_partition *aws_partition_by_name(const char *name);
/* The partition of a region name; NULL for what does not look like a region at all. */
const struct aws_partition *aws_partition_of_region(const char *region);
/* Partition of an ARN ("arn:aws-cn:.."); NULL when it is not one. */
const struct aws_partition *aws_partition_of_arn(const char *arn);
/* ERR_PARTITION with a clear text for a known but unsupported or an unknown partition. */
NODISCARD int aws_partition_check(const char *name, struct err *err);
/* ERR_FIELD_INVALID for odd text, ERR_PARTITION for a region elsewhere. */
NODISCARD int aws_region_check(const char *region, struct err *err);
/* Whether a host (lower case, no port) belongs to AWS in any partition. */
bool aws_host_is_real(const char *host);
/* Whether a host hands out a machine's own credentials: link-local addresses and their names, in any notation. */
bool aws_host_is_metadata(const char *host);

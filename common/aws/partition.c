/* Partitions, regions, and which host names are AWS's own or a metadata service's. */
#include "common/aws/partition.h"

#include "common/base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const struct aws_partition partitions[] = {
#define PARTITION(name, prefixes, dns, dual, global, supported) {name, prefixes, dns, dual, global, supported},
#include "common/aws/partition.def"
#undef PARTITION
};

const struct aws_partition *aws_partition_by_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(partitions); i++)
        if (str_eq(partitions[i].name, name))
            return &partitions[i];
    return NULL;
}

/* prefix-word-digits, where prefix may have a dash of its own: "eu-west-1", "us-gov-west-1", "eusc-de-east-1". */
static bool has_region_shape(const char *region)
{
    size_t n = strlen(region), dashes = 0;
    if (n < 8 || n > 24 || region[0] == '-' || region[n - 1] < '0' || region[n - 1] > '9')
        return false;
    for (const char *p = region; *p; p++) {
        bool is_dash = *p == '-';
        if (!is_dash && !(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9'))
            return false;
        if (is_dash && p[1] == '-')
            return false;
        dashes += is_dash;
    }
    return dashes >= 2 && dashes <= 3;
}

const struct aws_partition *aws_partition_of_region(const char *region)
{
    if (!has_region_shape(region))
        return NULL;
    const struct aws_partition *best = NULL;
    size_t best_len = 0;
    for (size_t i = 0; i < ARRAY_LEN(partitions); i++) {
        for (const char *p = partitions[i].prefixes; p && *p;) {
            size_t len = strcspn(p, ",");
            /* The longest prefix wins: "us-gov" before "us". */
            if (len > best_len && strncmp(region, p, len) == 0 && region[len] == '-') {
                best = &partitions[i];
                best_len = len;
            }
            p += len + (p[len] == ',');
        }
    }
    return best;
}

const struct aws_partition *aws_partition_of_arn(const char *arn)
{
    char name[24];
    if (!str_starts(arn, "arn:"))
        return NULL;
    size_t n = strcspn(arn + 4, ":");
    if (n >= sizeof name || arn[4 + n] != ':')
        return NULL;
    memcpy(name, arn + 4, n);
    name[n] = 0;
    return aws_partition_by_name(name);
}

int aws_partition_check(const char *name, struct err *err)
{
    const struct aws_partition *p = aws_partition_by_name(name);
    if (p && p->is_supported)
        return 0;
    if (p)
        return err_set(err, ERR_PARTITION, "the partition %s is not supported; only `aws` is", name);
    return err_set(err, ERR_PARTITION, "'%.24s' is not a partition of AWS that is known here; only `aws` is supported",
                   name);
}

int aws_region_check(const char *region, struct err *err)
{
    const struct aws_partition *p = aws_partition_of_region(region);
    if (!p)
        return err_set(err, ERR_FIELD_INVALID, "'%.32s' is not the name of an AWS region", region);
    if (!p->is_supported)
        return err_set(err, ERR_PARTITION, "the region %s belongs to the partition %s; only `aws` is supported", region,
                       p->name);
    return 0;
}

static bool is_below(const char *host, const char *suffix)
{
    size_t n = strlen(host), m = strlen(suffix);
    return n >= m && strcmp(host + n - m, suffix) == 0 && (n == m || host[n - m - 1] == '.');
}

bool aws_host_is_real(const char *host)
{
    char plain[256];
    size_t n = strlen(host);
    if (n && host[n - 1] == '.') /* the fully qualified spelling names the same host */
        n--;
    if (n >= sizeof plain)
        return true;
    memcpy(plain, host, n);
    plain[n] = 0;
    for (char *p = plain; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    for (size_t i = 0; i < ARRAY_LEN(partitions); i++) {
        if (is_below(plain, partitions[i].dns_suffix) ||
            (*partitions[i].dual_suffix && is_below(plain, partitions[i].dual_suffix)))
            return true;
    }
    return is_below(plain, "aws.amazon.com") || is_below(plain, "aws.dev");
}

bool aws_host_is_metadata(const char *host)
{
    char plain[256];
    size_t n = strlen(host);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    }
    if (n >= sizeof plain)
        return true;
    memcpy(plain, host, n);
    plain[n] = 0;
    char *zone = strchr(plain, '%');
    if (zone)
        *zone = 0;
    struct in6_addr six;
    if (inet_pton(AF_INET6, plain, &six) == 1) {
        const unsigned char *b = six.s6_addr;
        static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
        return (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || (b[0] == 0xfd && b[1] == 0 && b[2] == 0x0e && b[3] == 0xc2) ||
               (memcmp(b, mapped, 12) == 0 && b[12] == 169 && b[13] == 254);
    }
    struct in_addr four;
    if (inet_aton(plain, &four)) { /* also reads 0xa9fea9fe and 2852039166 */
        const unsigned char *b = (const unsigned char *)&four.s_addr;
        return b[0] == 169 && b[1] == 254;
    }
    return is_below(plain, "instance-data") || is_below(plain, "instance-data.ec2.internal") ||
           is_below(plain, "metadata.google.internal");
}

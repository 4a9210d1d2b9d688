/* Which address an operation goes to, and which it must never go to (P11).
 *
 * Simulated: only the listed addresses; a service that is not listed is refused. Live: the listed ones, then
 * AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, then AWS itself. Hosts of AWS are refused in a simulated fleet and
 * metadata addresses everywhere, listed or not. */
#pragma once

#include "common/aws/op.h"

struct aws_endpoints;

/* `text`: "http://127.0.0.1:9" for all, or "sts=URL,iam=URL,*=URL"; NULL or "" only when live. */
NODISCARD int aws_endpoints_new(bool is_simulated, const char *text, struct aws_endpoints **ret, struct err *err);
void aws_endpoints_free(struct aws_endpoints *endpoints);
/* For http_client_options.gate, with the endpoints as its argument: the second lock behind the client's own check.
 * Other addresses that a program needs (its own dispatcher) are allowed with aws_endpoints_allow. */
bool aws_endpoints_gate(void *endpoints, const char *origin);
NODISCARD int aws_endpoints_allow(struct aws_endpoints *endpoints, const char *url, struct err *err);

struct aws_target {
    char origin[400]; /* "https://iam.amazonaws.com": before the path */
    char host[330];   /* Host header, with the port when it is not the scheme's */
    char region[32];  /* to sign for */
    bool is_custom;   /* not AWS itself: S3 buckets go into the path */
};
/* `region` "" takes the service's own or us-east-1; `bucket` "" when there is none. */
NODISCARD int aws_endpoints_resolve(const struct aws_endpoints *endpoints, const struct aws_service *service,
                                    const char *region, const char *bucket, struct aws_target *ret, struct err *err);
/* Whether a bucket name can stand before a host name under AWS's certificate. */
bool aws_bucket_fits_host(const char *bucket);

/* The operator profile: what another operator writes instead of a patch. deploy/profiles/<name>/profile.json.
 *
 *   { "name":"doit", "version":1,
 *     "operator": {"name":"DoiT International", "account_id":"999900000001"},
 *     "trusted_account_id":"068664126052",                  the account our product works from; {trusted_account_id}
 *     "region":"us-east-1",                                 of bucket and report; an import may name another
 *     "naming": {"root_email":"awsops+{id}@doit-intl.com", "bucket":"doitintl-awsops-{id}",
 * "report":"doitintl-awsops-{id}", "report_prefix":"CUR", "bootstrap_role":"OrgImportBootstrap"}, "tag":
 * {"key":"doit:onboarding", "value":"{id}"}, "roles": { "cmp"|"cloudhealth"|"awsadmin": { "name", "enabled":true,
 * "path":"/", "description", "max_session":3600, "trusted_account":"068664126052", "trust": DOCUMENT,
 * "policies":[{"name","document":DOCUMENT}], "inline":[{"name","document":DOCUMENT}],
 *         "managed":["arn:{partition}:iam::aws:policy/.."], "assumption":"text: what nobody published and we assume" }
 * }, "bucket_policy": DOCUMENT (array of statements with Sid), "report_definition":
 * {"TimeUnit","Format","Compression","AdditionalSchemaElements","RefreshClosedReports","ReportVersioning"},
 *         (ReportName, S3Bucket, S3Prefix and S3Region are put in by the planner)
 *     "billing_profiles": {"default": {"tax": null | {"country":"IE","entry":{..}}, "payment":{"description":".."}}},
 *     "partner": null |
 * {"catalog","program_management_account","account_id","model","sector","display_name":"{customer_name}"},
 *     "custodians":["Security","Operations"], "mfa_mode":"overlap"|"classic", "retire":{"delete_user":true},
 *     "staffed": null | {"days":["mon"..],"hours":"08:00-18:00","timezone":"UTC"},
 *     "vars": {"name":"more variables for templates"}, "import_vars": ["names that every import must define in its
 * vars"], "limits": {"credential_max_age_days":30},
 *     "drift": null | {"every_hours":24} }                  finished imports are looked at again that often
 *
 * DOCUMENT is JSON, or in a file the path of a file beside it ("policies/cmp.json"), which profile_load() puts in
 * place: what travels through Redis and the API has no paths. `{var}` in any text is a variable (template.h). */
#pragma once

#include "common/base/err.h"
#include "common/codec/json.h"
#include "dispatcher/planner/faults.h"

struct profile; /* counted, immutable */

/* Reads and checks a file with what lies beside it. Faults name the JSON pointer. */
NODISCARD int profile_load(const char *path, struct profile **ret, struct faults *faults, struct err *err);
/* From JSON without file references (API, Redis). Borrows nothing: the JSON is copied. */
NODISCARD int profile_from_json(const json_t *json, struct profile **ret, struct faults *faults, struct err *err);
struct profile *profile_ref(struct profile *p);
void profile_unref(struct profile *p);
const char *profile_name(const struct profile *p);
int64_t profile_version(const struct profile *p);
const char *profile_digest(const struct profile *p); /* hex, of the canonical JSON */
const json_t *profile_json(const struct profile *p);
/* Names in `vars` of an import that its templates use: each import must define them. Array of strings. */
const json_t *profile_import_vars(const struct profile *p);
/* Variables that templates may use without defining them (id, account_id, bucket, ...). NULL-terminated. */
extern const char *const profile_builtin_vars[];

DEFINE_CLEANUP(profile, struct profile *, profile_unref)
#define AUTO_PROFILE CLEANUP(cleanup_profile)

/* The manifests of all steps as JSON. */
#include "worker/steps/manifest.h"

static const char *who_name(enum aws_identity_kind who)
{
    switch (who) {
    case AWS_AS_CUSTOMER:
        return "customer";
    case AWS_AS_OPERATOR:
        return "operator";
    case AWS_AS_PARTNER:
        return "partner";
    case AWS_AS_TRUSTED:
        return "trusted";
    case AWS_AS_NOBODY:
    default:
        return "nobody";
    }
}

static json_t *ops_of(const struct step_def *def)
{
    json_t *ops = json_array();
    for (const struct aws_op *const *op = def->ops; op && *op; op++)
        (void)json_array_append_new(ops, json_make("{s:s, s:s, s:s, s:b}", "op", (*op)->name, "permission",
                                                   (*op)->permission ? (*op)->permission : "", "who",
                                                   who_name((*op)->who), "mutates", (int)(*op)->mutates));
    return ops;
}

const json_t *steps_manifest(void)
{
    static json_t *manifest; /* one thread runs steps; a leak checker still reaches it */
    if (manifest)
        return manifest;
    manifest = json_array();
    for (const struct step_def *const *def = step_defs; *def; def++)
        (void)json_array_append_new(
            manifest, json_make("{s:s, s:s, s:o}", "step", (*def)->name, "item", (*def)->item, "ops", ops_of(*def)));
    return manifest;
}

/* Cost report definitions. */
#include "worker/steps/report_definition.h"

#include "worker/steps/fingerprint_shape.h"

const json_t *report_by_name(const json_t *facts, const char *name)
{
    size_t i;
    const json_t *report;
    json_array_foreach (json_at(facts, "reports"), i, report)
        if (str_eq(json_str_at(report, "ReportName"), name))
            return report;
    return NULL;
}

bool report_is_as(const json_t *found, const json_t *wanted)
{
    json_auto_t *x = shape_report(found), *y = shape_report(wanted);
    const char *key;
    json_t *value;
    json_object_foreach (y, key, value)
        if (!json_equal(json_object_get(x, key), value))
            return false;
    return true;
}

/* S3Region is a closed list in the service's model (2026): newer regions are missing, and China is another partition.
 */
bool report_region_is_open(const char *region)
{
    return str_in_list(
        "af-south-1,ap-east-1,ap-northeast-1,ap-northeast-2,ap-northeast-3,ap-south-1,ap-south-2,ap-southeast-1,"
        "ap-southeast-2,ap-southeast-3,ca-central-1,eu-central-1,eu-central-2,eu-north-1,eu-south-1,eu-south-2,"
        "eu-west-1,eu-west-2,eu-west-3,me-central-1,me-south-1,sa-east-1,us-east-1,us-east-2,us-west-1,us-west-2",
        region);
}

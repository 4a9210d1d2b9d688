/* What lives in regions: buckets, trails, and the features that the process's FAQ names. A feature that is not enabled,
 * or that AWS does not let us look at, is a value, too: the same before and after. */
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/features.h"
#include "common/aws/services/s3.h"

#include "worker/steps/fingerprint_reading.h"

#define REGIONS_MAX 16

/* ---- Buckets and regions ---- */
/* The list of buckets need not tell the region: AWS does in paged lists, others never. */
const char *reading_bucket_region(struct reading *r, const json_t *bucket)
{
    const char *name = json_str_at(bucket, "name"), *told = json_str_at(bucket, "region");
    if (told[0])
        return told;
    const json_t *where = reading_ask_in(r, step_text(r->s, "location/%s", name), &s3_get_bucket_location,
                                         json_make("{s:s}", "Bucket", name), "", READING_DENIED);
    return json_str_at(where, "region");
}

void reading_buckets(struct reading *r)
{
    const json_t *facts = reading_ask(r, "buckets", &s3_list_buckets, NULL);
    json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(facts, "buckets"), i, one) {
        const char *region = reading_bucket_region(r, one);
        if (r->is_building)
            json_put(reading_section(r, "s3"), json_str_at(one, "name"), json_make("{s:s}", "region", region));
    }
}

static void add_once(json_t *list, const char *text)
{
    if (text[0] && !json_array_has_str(list, text))
        json_array_append_new(list, json_string(text));
}

json_t *reading_regions_of(struct step *s, const json_t *of_buckets)
{
    json_auto_t *seen = json_array();
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)of_buckets, i, one)
        add_once(seen, json_is_string(one) ? json_string_value(one) : "");
    add_once(seen, step_var(s, "region"));
    const json_t *more = json_at(step_import(s), "vars.regions"); /* a snapshot taken by hand names them */
    for (i = 0; i < json_array_size(more); i++)
        add_once(seen, json_string_value(json_array_get(more, i)));
    json_sort_by(seen, NULL);
    json_t *regions = json_make("[s]", "us-east-1");
    json_array_foreach (seen, i, one) {
        if (!str_eq(json_string_value(one), "us-east-1") && json_array_size(regions) < REGIONS_MAX)
            json_array_append(regions, one);
    }
    return regions;
}

json_t *reading_regions(struct reading *r)
{
    const json_t *facts = reading_ask(r, "buckets", &s3_list_buckets, NULL);
    json_auto_t *of_buckets = json_array();
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(facts, "buckets"), i, one)
        json_array_append_new(of_buckets, json_string(reading_bucket_region(r, one)));
    return reading_regions_of(r->s, of_buckets);
}

/* ---- Trails ---- */
/* IsLogging is asked where the trail lives. */
static void read_trail(struct reading *r, const json_t *trail)
{
    const char *arn = json_str_at(trail, "arn"), *home = json_str_at(trail, "home");
    const json_t *status = reading_ask_in(r, step_text(r->s, "trail/%s", arn), &cloudtrail_get_trail_status,
                                          json_make("{s:s}", "Name", arn), home, READING_DENIED);
    if (!r->is_building)
        return;
    json_t *kept = reading_pick(trail, "name home bucket prefix topic key log_group log_role multi_region:b "
                                       "global_events:b organization:b validation:b insights:b selectors:b");
    json_put(kept, "logging", reading_is_denied(status) ? json_null() : json_boolean(json_bool_at(status, "logging")));
    json_put(reading_section(r, "trails"), arn, kept);
}

static void read_trails_of(struct reading *r, const char *region, json_t *seen)
{
    const json_t *facts = reading_ask_in(r, step_text(r->s, "trails/%s", region), &cloudtrail_describe_trails, NULL,
                                         region, READING_DENIED);
    json_t *one = NULL;
    size_t i = 0;
    if (r->is_building && reading_is_denied(facts))
        json_put(reading_section(r, "trails"), region, json_make("{s:b}", "not_readable", 1));
    json_array_foreach (json_object_get(facts, "trails"), i, one) {
        const char *arn = json_str_at(one, "arn");
        if (json_object_get(seen, arn))
            continue; /* a trail of all regions shows in each of them */
        json_put_bool(seen, arn, true);
        read_trail(r, one);
    }
}

void reading_trails(struct reading *r)
{
    json_auto_t *regions = reading_regions(r), *seen = json_object();
    for (size_t i = 0; i < json_array_size(regions); i++)
        read_trails_of(r, json_string_value(json_array_get(regions, i)), seen);
}

/* ---- Features ---- */
static void put_feature(struct reading *r, const char *name, bool is_readable, json_t *new_value)
{
    if (!is_readable) {
        json_decref(new_value);
        new_value = json_make("{s:b}", "not_readable", 1);
    }
    json_put(reading_section(r, "features"), name, new_value);
}

/* Identity Center and resource shares live in regions: every region in use is asked. Readable when any region answers.
 */
static void read_regional(struct reading *r, const json_t *regions, const char *feature, const struct aws_op *op,
                          const char *list, const char *member)
{
    json_t *all = json_array();
    bool is_readable = false;
    for (size_t i = 0; i < json_array_size(regions); i++) {
        const char *region = json_string_value(json_array_get(regions, i));
        const json_t *facts =
            reading_ask_in(r, step_text(r->s, "%s/%s", feature, region), op, NULL, region, READING_DENIED);
        is_readable = is_readable || (facts && !reading_is_denied(facts));
        size_t k = 0;
        json_t *one = NULL;
        json_array_foreach (json_object_get(facts, list), k, one)
            json_array_append(all, member ? json_object_get(one, member) : one);
    }
    json_auto_t *found = all;
    if (!r->is_building)
        return;
    json_sort_by(found, member ? NULL : "arn");
    put_feature(r, feature, is_readable, json_make("{s:O}", member ? "shares" : "instances", found));
}

void reading_features(struct reading *r)
{
    json_auto_t *regions = reading_regions(r);
    read_regional(r, regions, "identity_center", &sso_list_instances, "instances", NULL);
    read_regional(r, regions, "resource_sharing", &ram_get_resource_shares, "shares", "arn");
    const json_t *backup =
        reading_ask_in(r, "backup", &backup_describe_global_settings, NULL, "us-east-1", READING_DENIED);
    const json_t *fms = reading_ask_in(r, "fms", &fms_get_admin_account, NULL, "", READING_DENIED);
    const json_t *stacks = reading_ask_in(r, "stacksets", &cloudformation_describe_organizations_access, NULL,
                                          "us-east-1", READING_DENIED);
    if (!r->is_building)
        return;
    put_feature(r, "backup", !reading_is_denied(backup), reading_pick(backup, "settings:map"));
    put_feature(r, "firewall_manager", !reading_is_denied(fms), reading_pick(fms, "admin"));
    put_feature(r, "stacksets", !reading_is_denied(stacks), reading_pick(stacks, "status"));
}

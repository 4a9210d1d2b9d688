/* An import document as the planner makes it, small: for tests of single steps. */
#pragma once

#include "common/codec/json.h"
#include "tests/unit/test.h"

#define DOC_CREATED_MS 1795428000000 /* 2026-11-23T10:00:00Z */

static const char import_doc_text[] =
    "{\"id\":\"imp_1\",\"external_ref\":\"crm-1\",\"livemode\":false,\"playbook\":\"payer-handover@1\",\"created_ms\":"
    "1795428000000,"
    "\"steps\":[\"org_identify\",\"role_cmp\",\"cur_bucket\"],\"customer\":{\"name\":\"Acme\"},"
    "\"organization\":{\"partition\":\"aws\",\"management_account_id\":\"111122223333\"},\"access\":{\"method\":"
    "\"sealed_key\"},"
    "\"mfa_mode\":\"classic\",\"contacts\":[{\"role\":\"csm\",\"email\":\"csm@example.com\"}],\"vars\":{"
    "\"id\":\"acme42\",\"partition\":\"aws\",\"account_id\":\"111122223333\",\"region\":\"eu-west-1\",\"root_email\":"
    "\"awsops+acme42@doit-intl.com\","
    "\"bucket\":\"doitintl-awsops-acme42\",\"report\":\"doitintl-awsops-acme42\",\"report_prefix\":\"CUR\",\"external_"
    "id\":\"ours\","
    "\"cloudhealth_external_id\":\"\",\"tag_key\":\"doit:onboarding\",\"tag_value\":\"acme42\",\"bootstrap_role\":"
    "\"OrgImportBootstrap\","
    "\"roles\":{\"cmp\":{\"name\":\"doitintl_cmp\",\"enabled\":true,\"path\":\"/"
    "\",\"description\":\"d\",\"max_session\":3600,"
    "\"trusted_account\":\"068664126052\",\"trust\":{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","
    "\"Principal\":"
    "{\"AWS\":\"arn:aws:iam::068664126052:root\"},\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{\"sts:"
    "ExternalId\":\"ours\"}}}]},"
    "\"policies\":[{\"name\":\"doitintl_cmp\",\"document\":{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":"
    "\"Allow\",\"Action\":\"ce:Get*\","
    "\"Resource\":\"*\"}]}}],\"inline\":[],\"managed\":[]},\"cloudhealth\":{\"name\":\"CloudHealth\",\"enabled\":false,"
    "\"policies\":[]}},"
    "\"bucket_policy\":[{\"Sid\":\"Deliver\",\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"billingreports."
    "amazonaws.com\"},"
    "\"Action\":\"s3:PutObject\",\"Resource\":\"arn:aws:s3:::doitintl-awsops-acme42/*\"}],"
    "\"report_definition\":{\"ReportName\":\"doitintl-awsops-acme42\",\"TimeUnit\":\"HOURLY\",\"Format\":\"textORcsv\","
    "\"Compression\":\"GZIP\","
    "\"AdditionalSchemaElements\":[\"RESOURCES\"],\"S3Bucket\":\"doitintl-awsops-acme42\",\"S3Prefix\":\"CUR\","
    "\"S3Region\":\"eu-west-1\","
    "\"RefreshClosedReports\":true,\"ReportVersioning\":\"CREATE_NEW_REPORT\"},"
    "\"tax\":{\"country\":\"IE\",\"seller\":\"EMEA\",\"entry\":{\"registrationId\":\"IE1\",\"registrationType\":"
    "\"VAT\",\"legalName\":\"Ops\","
    "\"legalAddress\":{\"addressLine1\":\"1\",\"city\":\"Dublin\",\"countryCode\":\"IE\",\"postalCode\":\"D\"}}},"
    "\"partner\":{\"catalog\":\"AWS\",\"program_management_account\":\"pma-1\",\"account_id\":\"777788889999\","
    "\"model\":\"END_CUSTOMER\","
    "\"sector\":\"COMMERCIAL\",\"display_name\":\"Acme\"},\"retire\":{\"delete_user\":true}}}";

static inline json_t *import_doc(void)
{
    struct err err = {0};
    json_t *doc = json_read(import_doc_text, sizeof import_doc_text - 1, 0, &err);
    if (!doc)
        fail_msg("%s", err.text);
    return doc;
}

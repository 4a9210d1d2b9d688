/* Cost and Usage Report service: always us-east-1, whatever region the import works in. JSON 1.1. */
#pragma once

#include "common/aws/op.h"

extern const struct aws_service aws_service_cur;

/* -> {reports: [definition under AWS's own names, ReportStatus included]}; pages of exactly five */
extern const struct aws_op cur_describe_report_definitions;
extern const struct aws_op cur_put_report_definition;    /* ReportDefinition! Tags */
extern const struct aws_op cur_modify_report_definition; /* ReportName! ReportDefinition! */
extern const struct aws_op cur_delete_report_definition; /* ReportName! */
extern const struct aws_op cur_list_tags_for_resource;   /* ReportName! -> {tags{}}; absent */

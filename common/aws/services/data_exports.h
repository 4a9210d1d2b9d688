/* BCM Data Exports (CUR 2.0): read for the fingerprint; the import makes none.
 *   list_exports               {exports: [arn]}
 *   get_export {ExportArn}     {arn, name, query, tables, destination, refresh}; null: gone meanwhile */
#pragma once

#include "common/aws/op.h"

extern const struct aws_op data_exports_list_exports;
extern const struct aws_op data_exports_get_export;

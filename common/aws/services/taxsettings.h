/* Tax settings: host and sign name say "tax", the SDKs say "taxsettings". REST with JSON, POST /{Operation}. */
#pragma once

#include "common/aws/op.h"

extern const struct aws_service aws_service_taxsettings;

/* accountId -> {registration: AWS's own taxRegistration}; absent: none set */
extern const struct aws_op tax_get_tax_registration;
/* -> {accounts: [AWS's own accountDetails: accountId, accountMetaData{seller, addressRoleMap}, taxRegistration]}; pages
 */
extern const struct aws_op tax_list_tax_registrations;
extern const struct aws_op tax_get_tax_inheritance;     /* -> {status: "OptIn"|"OptOut"} */
extern const struct aws_op tax_put_tax_registration;    /* accountId taxRegistrationEntry! -> {status?} */
extern const struct aws_op tax_delete_tax_registration; /* accountId; absent */

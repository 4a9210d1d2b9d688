/* Account service: contact data of the management account itself (AccountId is left out on purpose).
 *   get_contact_information                       {contact: AWS's own names, without empty members}
 *   get_alternate_contact {AlternateContactType}  {name, title, email, phone}; null: none */
#pragma once

#include "common/aws/op.h"

extern const struct aws_op account_get_contact_information;
extern const struct aws_op account_get_alternate_contact;

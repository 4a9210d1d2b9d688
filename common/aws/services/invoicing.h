/* Invoicing: who receives the account's invoices, shown as supporting evidence for the payment method.
 *   batch_get_invoice_profile {AccountIds}   {profiles: [{account, receiver, email, issuer, tax_number}]} */
#pragma once

#include "common/aws/op.h"

extern const struct aws_op invoicing_batch_get_invoice_profile;

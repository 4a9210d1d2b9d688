/* The list of all operations, made from services/ops.def. */
#include "common/aws/op.h"

#define OP(symbol) extern const struct aws_op symbol;
#include "common/aws/services/ops.def"
#undef OP

const struct aws_op *const aws_ops[] = {
#define OP(symbol) &symbol,
#include "common/aws/services/ops.def"
#undef OP
    NULL,
};

const struct aws_op *aws_op_by_name(const char *name)
{
    for (const struct aws_op *const *p = aws_ops; *p; p++)
        if (str_eq((*p)->name, name))
            return *p;
    return NULL;
}

/* The packed record and DAG: what is read must pack to the same bytes. */
#include "common/base/assert.h"
#include "common/queue/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    static struct record record;
    static struct dag dag;
    unsigned char packed[RECORD_BYTES_MAX], dag_packed[8192];
    if (record_unpack(data, size, &record, &err) == 0)
        ASSERT(record_pack(&record, packed) == size && memcmp(packed, data, size) == 0);
    if (dag_unpack(data, size, &dag, &err) == 0)
        ASSERT(dag_pack(&dag, dag_packed, sizeof dag_packed) <= sizeof dag_packed);
    return 0;
}

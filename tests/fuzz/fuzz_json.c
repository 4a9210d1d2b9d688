/* json_read and the canonical form: whatever is read must come out canonical, and read again to the same digest. */
#include "common/base/assert.h"
#include "common/codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    json_t *value = json_read((const char *)data, size, 0, &err);
    if (!value)
        return 0;
    struct str once, twice;
    str_init(&once, (size_t)16 << 20);
    str_init(&twice, (size_t)16 << 20);
    json_canonical(value, &once);
    json_t *again = json_read(once.data, once.len, 0, &err);
    if (again) { /* a NUL inside a string ends it for us: such texts may not come back */
        json_canonical(again, &twice);
        ASSERT(str_eq(once.data, twice.data));
    }
    json_decref(again);
    json_decref(value);
    str_done(&once);
    str_done(&twice);
    return 0;
}

/* XML, CSV, INI, URLs, percent escapes, base64, times: no crash, no leak, whatever comes. */
#include "common/base/mem.h"
#include "common/codec/csv.h"
#include "common/codec/ini.h"
#include "common/codec/uri.h"
#include "common/codec/when.h"
#include "common/codec/xml.h"
#include "common/crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore(void *arg, const char *section, const char *key, const char *value, uint32_t line, struct err *err)
{
    (void)arg, (void)section, (void)key, (void)value, (void)line, (void)err;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct err err;
    char root[64];
    struct csv csv;
    struct uri uri;
    uint64_t ms;
    size_t len;
    json_decref(xml_read(bytes, size, root, &err));
    if (csv_read(bytes, size, &csv, &err) == 0)
        csv_done(&csv);
    if (ini_read(bytes, size, ignore, NULL, &err) != 0)
        err_clear(&err);
    mem_free(uri_decode(bytes, size, true, NULL));
    char *text = mem_dup_bytes(bytes, size);
    if (uri_parse(text, &uri, &err) != 0)
        err_clear(&err);
    mem_free(crypto_unbase64(text, &len));
    (void)when_parse(text, &ms);
    (void)when_parse_http(text, &ms);
    mem_free(text);
    return 0;
}

/* The embedded manifest. */
#include "dispatcher/planner/step_manifest.h"

#include "common/base/assert.h"

__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global step_manifest_text\n"
        "step_manifest_text:\n"
        ".incbin \"" STEP_MANIFEST_FILE "\"\n"
        ".global step_manifest_text_end\n"
        "step_manifest_text_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char step_manifest_text[], step_manifest_text_end[];

const json_t *step_manifest(void)
{
    static json_t *manifest; /* one loop serves all requests */
    if (manifest)
        return manifest;
    struct err err;
    manifest = json_read(step_manifest_text, (size_t)(step_manifest_text_end - step_manifest_text), 0, &err);
    ASSERT(json_is_array(manifest)); /* the build made it */
    return manifest;
}

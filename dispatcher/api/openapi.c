#include "dispatcher/api/openapi.h"

__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global openapi_text\n"
        "openapi_text:\n"
        ".incbin \"" OPENAPI_FILE "\"\n"
        ".global openapi_text_end\n"
        "openapi_text_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char openapi_text_end[];

size_t openapi_len(void)
{
    return (size_t)(openapi_text_end - openapi_text);
}

/* report.css is part of the program, so that the page needs nothing beside itself. */
#include "common/report/report_private.h"

__asm__(".section .rodata\n"
        ".global report_style\n"
        "report_style:\n"
        ".incbin \"" REPORT_STYLE_FILE "\"\n"
        ".byte 0\n"
        ".previous\n");

#include "common/base/assert.h"

#include <stdio.h>

void assert_fail(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "{\"ev\":\"process.assert\",\"what\":\"%s\",\"file\":\"%s\",\"line\":%d}\n", what, file,
                  line);
    (void)fflush(stderr);
    abort();
}

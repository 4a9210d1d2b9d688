/* Reads signing cases as JSON lines and writes what our signer makes of each stage: lets another implementation be
 * compared with it (tests/tools/sigv4_compare.test.py). */
#include "tests/lib/sigv4_case.h"

#include "common/base/mem.h"

#include <stdio.h>

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        struct err err;
        json_auto_t *one = json_read(line, (size_t)n, 0, &err);
        if (!one) {
            (void)fprintf(stderr, "a case cannot be read: %s\n", err.text);
            return 1;
        }
        struct sigv4_stages stages;
        sigv4_case_run(one, &stages);
        json_auto_t *answer = json_make("{s:s, s:s, s:s, s:s}", "canonical", stages.canonical.data, "string_to_sign",
                                        stages.string_to_sign.data, "signature", stages.signature, "authorization",
                                        stages.authorization.data);
        AUTO_FREE char *text = json_text(answer);
        (void)printf("%s\n", text);
        sigv4_stages_done(&stages);
    }
    free(line);
    return 0;
}

/* drill_audit: walks a whole fleet with the queue's own auditor (I1-I14) and prints {"checked", "faults"} as one line
 * of JSON. Exit 0 without fault, 1 with faults, 2 when it cannot look. May run beside a working fleet. */
#include "common/base/mem.h"
#include "tests/drill/drill_tool.h"

#include <stdio.h>

static json_t *found;
static struct err failure;
static bool is_done;

static void audited(void *arg, const struct err *err, json_t *value)
{
    (void)arg;
    if (err)
        failure = *err;
    found = value;
    is_done = true;
}

int main(int argc, char **argv)
{
    static struct drill d;
    for (int i = 1; i < argc; i++) {
        if (drill_option(&d, argv[i]))
            continue;
        (void)fprintf(stderr, "usage: drill_audit " DRILL_OPTIONS "\n");
        return 2;
    }
    drill_open(&d, "drill_audit");
    queue_audit(d.queue, audited, NULL);
    while (!is_done)
        (void)uv_run(&d.loop, UV_RUN_ONCE);
    if (!found)
        drill_fail("drill_audit", "audit", &failure);
    AUTO_FREE char *text = json_text(found);
    size_t faults = json_array_size(json_object_get(found, "faults"));
    (void)puts(text);
    json_decref(found);
    drill_close(&d);
    return faults ? 1 : 0;
}

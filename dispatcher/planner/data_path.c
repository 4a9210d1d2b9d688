#include "dispatcher/planner/data_path.h"

#include "common/base/macros.h"
#include "common/base/str.h"

#include <stdio.h>
#include <unistd.h>

static const char *exists(char *ret, size_t size, const char *folder, const char *relative)
{
    int n = snprintf(ret, size, "%s/%s", folder, relative);
    if (n > 0 && (size_t)n < size && access(ret, R_OK) == 0)
        return ret;
    *ret = 0;
    return NULL;
}

const char *data_path(const char *relative, char *ret, size_t size)
{
    const char *given = getenv("ORGIMPORT_DATA");
    if (given && *given && exists(ret, size, given, relative))
        return ret;
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 32);
    if (n > 0) {
        program[n] = 0;
        char *slash = strrchr(program, '/');
        if (slash) {
            (void)snprintf(slash, 32, "/../share/orgimport");
            if (exists(ret, size, program, relative))
                return ret;
        }
    }
    /* The build tree: profiles live under deploy/, playbooks under dispatcher/. */
    const char *folder =
        str_starts(relative, "profiles/") ? ORGIMPORT_SOURCE_DIR "/deploy" : ORGIMPORT_SOURCE_DIR "/dispatcher";
    return exists(ret, size, folder, relative) ? ret : "";
}

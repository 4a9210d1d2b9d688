/* Where the files that belong to the programs lie: installed (PREFIX/share/orgimport) or in the source tree. */
#pragma once

#include <stddef.h>

/* "profiles/doit/profile.json" -> a path that exists, "" when there is none. ORGIMPORT_DATA comes first when it is set.
 */
const char *data_path(const char *relative, char *ret, size_t size);

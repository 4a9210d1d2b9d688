/* What a worker refuses to start with, and how it guards its memory. */
#pragma once

#include "common/config/config.h"

/* Faults that would otherwise show in the middle of an import: ERR_CONFIG, ERR_OPERATOR_CREDENTIALS. */
NODISCARD int settings_check(const struct config *config, struct err *err);
/* Opened credentials live in this process: no core files, no attaching, where the system allows. */
void settings_protect_memory(void);

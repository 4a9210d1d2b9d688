/* Recognises what looks like a credential, so that it is refused where none belongs and never echoed (P8, P9). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Access key ids (AKIA.., ASIA..), 40-character secrets, private keys, anywhere inside the text. */
bool key_guard_text(const char *text, size_t len);
/* Whether a field of that name asks for a secret ("secret_access_key", "password"). */
bool key_guard_name(const char *name);

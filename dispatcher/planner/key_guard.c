/* Words are runs of the base64 alphabet; a secret key is a word of exactly 40 that mixes cases and digits. */
#include "dispatcher/planner/key_guard.h"

#include "common/base/macros.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '/' || c == '+';
}

static bool is_key_id(const char *word, size_t len)
{
    if (len != 20 || (memcmp(word, "AKIA", 4) != 0 && memcmp(word, "ASIA", 4) != 0))
        return false;
    for (size_t i = 4; i < len; i++)
        if (!isupper((unsigned char)word[i]) && !isdigit((unsigned char)word[i]))
            return false;
    return true;
}

/* Hex digests of 40 have one case only and pass; so do words without a digit, which a random secret lacks once in
 * 1,400. */
static bool is_secret(const char *word, size_t len)
{
    if (len != 40)
        return false;
    bool has_upper = false, has_lower = false, has_digit = false;
    for (size_t i = 0; i < len; i++) {
        has_upper |= isupper((unsigned char)word[i]) != 0;
        has_lower |= islower((unsigned char)word[i]) != 0;
        has_digit |= isdigit((unsigned char)word[i]) != 0 || word[i] == '/' || word[i] == '+';
    }
    return has_upper && has_lower && has_digit;
}

bool key_guard_text(const char *text, size_t len)
{
    if (len < 20)
        return false;
    if (memmem(text, len, "PRIVATE KEY-----", 16))
        return true;
    for (size_t i = 0; i < len;) {
        if (!is_word(text[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < len && is_word(text[end]))
            end++;
        if (is_key_id(text + i, end - i) || is_secret(text + i, end - i))
            return true;
        /* A key id glued into a longer word ("keyAKIA...") is found as well; digits and capitals may follow. */
        for (size_t k = i; k + 20 <= end; k++)
            if (text[k] == 'A' && is_key_id(text + k, 20))
                return true;
        i = end;
    }
    return false;
}

bool key_guard_name(const char *name)
{
    static const char *const parts[] = {"secret_access_key", "secretaccesskey", "access_key_id", "accesskeyid",
                                        "session_token",     "sessiontoken",    "password",      "private_key",
                                        "secret_key",        "aws_access_key"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcasestr(name, parts[i]))
            return true;
    return false;
}

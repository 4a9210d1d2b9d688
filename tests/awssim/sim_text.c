/* Growing text and the few encodings that the simulator needs: XML, percent, hex, base64, SHA-256. */
#include "sim_core.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void sim_text_add(struct sim_text *t, const char *data, size_t bytes)
{
    if (t->data == NULL || t->bytes + bytes + 1 > t->room) {
        size_t room = t->room ? t->room : 256;
        while (room < t->bytes + bytes + 1)
            room *= 2;
        char *grown = realloc(t->data, room);
        if (!grown)
            abort();
        t->data = grown;
        t->room = room;
    }
    if (bytes > 0)
        memcpy(t->data + t->bytes, data, bytes);
    t->bytes += bytes;
    t->data[t->bytes] = '\0';
}

void sim_text_puts(struct sim_text *t, const char *text)
{
    sim_text_add(t, text, strlen(text));
}

void sim_text_printf(struct sim_text *t, const char *fmt, ...)
{
    char small[512];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof small) {
        sim_text_add(t, small, (size_t)n);
    } else if (n >= 0) {
        char *big = malloc((size_t)n + 1);
        if (!big)
            abort();
        (void)vsnprintf(big, (size_t)n + 1, fmt, again);
        sim_text_add(t, big, (size_t)n);
        free(big);
    }
    va_end(again);
}

void sim_text_xml(struct sim_text *t, const char *text)
{
    for (;;) {
        size_t plain = strcspn(text, "&<>\"");
        sim_text_add(t, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        sim_text_puts(t, *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : "&quot;");
        text++;
    }
    if (!t->data)
        sim_text_puts(t, "");
}

static bool unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

void sim_text_uri(struct sim_text *t, const char *text, size_t bytes, bool slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (unreserved(c) || (slash && c == '/')) {
            sim_text_add(t, text + i, 1);
        } else {
            char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
            sim_text_add(t, escaped, 3);
        }
    }
    if (!t->data)
        sim_text_puts(t, "");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t sim_uri_decode(char *text, size_t bytes, bool plus_is_space)
{
    size_t out = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '%' && i + 2 < bytes && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            text[out++] = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else if (text[i] == '+' && plus_is_space) {
            text[out++] = ' ';
        } else {
            text[out++] = text[i];
        }
    }
    text[out] = '\0';
    return out;
}

void sim_hex(const unsigned char *data, size_t bytes, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes; i++) {
        ret[2 * i] = digits[data[i] >> 4];
        ret[2 * i + 1] = digits[data[i] & 15];
    }
    ret[2 * bytes] = '\0';
}

void sim_sha256(const void *data, size_t bytes, unsigned char ret[32])
{
    /* Fetched once: the lookup by EVP_sha256() costs more than hashing a small request. */
    static EVP_MD *md;
    static EVP_MD_CTX *ctx;
    if (!md) {
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
        ctx = EVP_MD_CTX_new();
    }
    if (!md || !ctx || EVP_DigestInit_ex(ctx, md, NULL) != 1 || EVP_DigestUpdate(ctx, data, bytes) != 1 ||
        EVP_DigestFinal_ex(ctx, ret, NULL) != 1)
        abort();
}

void sim_sha256_hex(const void *data, size_t bytes, char ret[65])
{
    unsigned char digest[32];
    sim_sha256(data, bytes, digest);
    sim_hex(digest, sizeof digest, ret);
}

char *sim_base64(const void *data, size_t bytes)
{
    char *text = malloc(4 * ((bytes + 2) / 3) + 1);
    if (!text)
        abort();
    EVP_EncodeBlock((unsigned char *)text, data, (int)bytes);
    return text;
}

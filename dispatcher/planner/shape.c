#include "dispatcher/planner/shape.h"

#include <ctype.h>
#include <string.h>

static bool all_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

bool shape_is_account_id(const char *text)
{
    return text && strlen(text) == 12 && all_digits(text, 12);
}

bool shape_is_region(const char *text)
{
    if (!text || strlen(text) > 24 || !shape_is_slug(text, 24, "-"))
        return false;
    const char *first = strchr(text, '-'), *last = strrchr(text, '-');
    return first && first - text == 2 && last > first + 1 && last[1] && !last[2] && isdigit((unsigned char)last[1]);
}

bool shape_is_slug(const char *text, size_t len_max, const char *more)
{
    if (!text || !*text || strlen(text) > len_max)
        return false;
    for (const char *c = text; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9') && !strchr(more, *c))
            return false;
    return true;
}

bool shape_is_name(const char *text, size_t len_max)
{
    return shape_is_slug(text, len_max, "_") && *text >= 'a' && *text <= 'z';
}

bool shape_is_host(const char *text)
{
    if (!text || !*text || strlen(text) > 253 || *text == '.' || *text == '-' || !strchr(text, '.'))
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-')
            return false;
    return !strstr(text, "..") && text[strlen(text) - 1] != '.';
}

bool shape_is_email(const char *text)
{
    const char *at = text ? strchr(text, '@') : NULL;
    if (!at || at == text || strchr(at + 1, '@') || strlen(text) > 254)
        return false;
    for (const char *c = text; c < at; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".!#$%&'*+/=?^_`{|}~-", *c))
            return false;
    return shape_is_host(at + 1);
}

bool shape_is_printable(const char *text, size_t len_max)
{
    if (!text || !*text || strlen(text) > len_max)
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}

static bool is_clock(const char *c)
{
    if (!all_digits(c, 2) || c[2] != ':' || !all_digits(c + 3, 2))
        return false;
    int hour = (c[0] - '0') * 10 + c[1] - '0', minute = (c[3] - '0') * 10 + c[4] - '0';
    return minute < 60 && (hour < 24 || (hour == 24 && minute == 0));
}

bool shape_is_hours(const char *text)
{
    return text && strlen(text) == 11 && text[5] == '-' && is_clock(text) && is_clock(text + 6) &&
           strncmp(text, text + 6, 5) < 0;
}

/* Places (Europe/Berlin) change their offset twice a year, and a step may read no clock database: so offsets only. */
bool shape_is_zone(const char *text)
{
    bool is_offset = text && (text[0] == '+' || text[0] == '-') && strlen(text) == 6 && is_clock(text + 1);
    return str_eq(text, "UTC") || (is_offset && strncmp(text + 1, "14:00", 5) <= 0);
}

bool shape_is_days(const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) == 0 || json_array_size(value) > 7)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *day = json_string_value(json_array_get(value, i));
        if (!day || strlen(day) != 3 || !str_in_list("mon,tue,wed,thu,fri,sat,sun", day))
            return false;
        for (size_t k = 0; k < i; k++)
            if (str_eq(day, json_string_value(json_array_get(value, k))))
                return false;
    }
    return true;
}

bool shape_is_role_name(const char *text)
{
    if (!text || !*text || strlen(text) > 64)
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("+=,.@_-", *c))
            return false;
    return true;
}

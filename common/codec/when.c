#include "common/codec/when.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct tm utc(uint64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        memset(&tm, 0, sizeof tm);
    return tm;
}

void when_rfc3339(uint64_t unix_ms, char ret[32])
{
    struct tm tm = utc(unix_ms);
    if (!strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        ret[0] = 0;
}

void when_amz(uint64_t unix_ms, char ret[20])
{
    struct tm tm = utc(unix_ms);
    if (!strftime(ret, 20, "%Y%m%dT%H%M%SZ", &tm))
        ret[0] = 0;
}

static bool two_digits(const char **p, int max, int *ret)
{
    const char *s = *p;
    if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
        return false;
    *ret = (s[0] - '0') * 10 + (s[1] - '0');
    *p += 2;
    return *ret <= max;
}

static bool finish(struct tm *tm, uint32_t ms, int offset_s, uint64_t *ret)
{
    int day = tm->tm_mday, month = tm->tm_mon;
    time_t t = timegm(tm);
    if (tm->tm_mday != day || tm->tm_mon != month) /* 31 February */
        return false;
    t -= offset_s;
    if (t < 0)
        return false;
    *ret = (uint64_t)t * 1000 + ms;
    return true;
}

static bool parse_offset(const char **p, int *ret)
{
    *ret = 0;
    if (**p == 'Z' || **p == 'z') {
        ++*p;
        return true;
    }
    if (**p != '+' && **p != '-')
        return false;
    int sign = *(*p)++ == '-' ? -1 : 1, hours, minutes;
    if (!two_digits(p, 23, &hours))
        return false;
    if (**p == ':')
        ++*p;
    if (!two_digits(p, 59, &minutes))
        return false;
    *ret = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool when_parse(const char *text, uint64_t *ret_unix_ms)
{
    const char *p = text;
    int century, year, month, day, hour, minute, second, offset = 0;
    if (!two_digits(&p, 99, &century) || !two_digits(&p, 99, &year))
        return false;
    bool is_basic = *p != '-';
    if (!is_basic)
        p++;
    if (!two_digits(&p, 12, &month) || (!is_basic && *p++ != '-') || !two_digits(&p, 31, &day))
        return false;
    if (*p != 'T' && *p != 't' && *p != ' ')
        return false;
    p++;
    if (!two_digits(&p, 23, &hour) || (!is_basic && *p++ != ':') || !two_digits(&p, 59, &minute) ||
        (!is_basic && *p++ != ':') || !two_digits(&p, 60, &second))
        return false;
    uint32_t ms = 0, scale = 100;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
            ms += (uint32_t)(*p - '0') * scale;
    if (!parse_offset(&p, &offset) || *p || month < 1 || day < 1)
        return false;
    struct tm tm = {.tm_year = century * 100 + year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    return finish(&tm, ms, offset, ret_unix_ms);
}

bool when_parse_http(const char *text, uint64_t *ret_unix_ms)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return end && !*end && finish(&tm, 0, 0, ret_unix_ms);
}

void when_span(uint64_t ms, char ret[32])
{
    unsigned long long s = ms / 1000;
    if (s < 60)
        (void)snprintf(ret, 32, "%llu s", s);
    else if (s < 3600)
        (void)snprintf(ret, 32, "%llu min", s / 60);
    else if (s < 86400)
        (void)snprintf(ret, 32, "%llu h %llu min", s / 3600, s % 3600 / 60);
    else
        (void)snprintf(ret, 32, "%llu d %llu h", s / 86400, s % 86400 / 3600);
}

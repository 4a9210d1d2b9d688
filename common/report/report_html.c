/* Small elements, and the one function through which every text of the bundle goes. */
#include "common/codec/when.h"
#include "common/report/report_private.h"

#include <stdio.h>

void html_text(struct str *out, const char *text)
{
    for (const char *p = text ? text : ""; *p; p++) {
        switch (*p) {
        case '&':
            str_add(out, "&amp;");
            break;
        case '<':
            str_add(out, "&lt;");
            break;
        case '>':
            str_add(out, "&gt;");
            break;
        case '"':
            str_add(out, "&quot;");
            break;
        case '\'':
            str_add(out, "&#39;");
            break;
        default:
            if ((unsigned char)*p < 32 && *p != '\n' && *p != '\t')
                str_add(out, "\xef\xbf\xbd"); /* no control character has business here */
            else
                str_add_char(out, *p);
        }
    }
}

void html_digest(struct str *out, const char *digest)
{
    char shown[17];
    (void)snprintf(shown, sizeof shown, "%s", digest ? digest : "");
    html_text(out, shown);
    html(out, "&hellip;");
}

void html(struct str *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_addfv(out, fmt, ap);
    va_end(ap);
}

void html_element(struct str *out, const char *tag, const char *class, const char *text)
{
    html(out, *class ? "<%s class=\"%s\">" : "<%s%s>", tag, class);
    html_text(out, text);
    html(out, "</%s>", tag);
}

static int add_piece(const char *bytes, size_t len, void *arg)
{
    str_add_bytes(arg, bytes, len);
    return 0;
}

void html_json(struct str *out, const json_t *value)
{
    AUTO_STR struct str text;
    str_init(&text, BUNDLE_BYTES_MAX);
    (void)json_dump_callback(value, add_piece, &text, JSON_ENCODE_ANY | JSON_INDENT(2) | JSON_SORT_KEYS);
    html_element(out, "pre", "", text.data);
}

void html_time(struct str *out, int64_t at_ms)
{
    char text[32] = "";
    if (at_ms <= 0) {
        html(out, "&ndash;");
        return;
    }
    when_rfc3339((uint64_t)at_ms, text);
    html(out, "<time datetime=\"%s\"><span>%.10s</span> %.8s</time>", text, text, text + 11);
}

const char *html_words_of_section(const char *section)
{
    static const char *const words[][2] = {
        {"accounts", "Accounts"},
        {"contact", "Contacts"},
        {"cur", "Cost and usage reports"},
        {"delegation", "Delegated administrators"},
        {"exports", "Data exports"},
        {"features", "Organization features"},
        {"handshakes", "Open invitations"},
        {"iam.account", "Root user and account settings"},
        {"iam.groups", "IAM groups"},
        {"iam.policies", "IAM policies"},
        {"iam.roles", "IAM roles"},
        {"iam.users", "IAM users"},
        {"organization", "Organization"},
        {"policies", "Organization policies"},
        {"s3", "S3 buckets"},
        {"tax", "Tax registrations"},
        {"trails", "CloudTrail trails"},
        {"transfers", "Billing transfers"},
        {"tree", "Organizational units and where accounts stand"},
        {"trusted_services", "Trusted services"},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i][0], section))
            return words[i][1];
    return section;
}

/* Inside of the report; nobody else includes this. */
#pragma once

#include "common/base/mem.h"
#include "common/proof/bundle.h"
#include "common/report/report.h"

#define LOOSE(p) ((json_t *)(uintptr_t)(p))

/* report_html.c: text of the bundle, made harmless in elements and in double-quoted attributes. */
void html_text(struct str *out, const char *text);
void html_digest(struct str *out, const char *digest); /* its beginning */
/* printf of our own markup; %s in it must be ours: a stored digest may be anything. */
void html(struct str *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
void html_element(struct str *out, const char *tag, const char *class, const char *text); /* text escaped */
void html_json(struct str *out, const json_t *value);                                     /* <pre>, indented */
void html_time(struct str *out, int64_t at_ms);
const char *html_words_of_section(const char *section);
extern const char report_style[];

/* The parts, in the order of the page. */
void report_changes(const struct bundle_report *checked, struct str *out);
void report_roles(const json_t *payload, struct str *out);
void report_tasks(const json_t *payload, struct str *out);
void report_rehearsal(const json_t *payload, struct str *out);
void report_log(const json_t *payload, struct str *out);

/* The report that a customer keeps: one HTML file made of a bundle, with nothing outside of it. Pure.
 *
 * It needs no script to be read, loads nothing, and every text of the bundle is escaped, whoever wrote it. Its figures
 * come from the bundle alone; what the checker found stands on top. */
#pragma once

#include "common/proof/bundle_check.h"

void report_html(const struct bundle_report *checked, struct str *out);

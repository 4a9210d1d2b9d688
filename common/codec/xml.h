/* XML answers of AWS (query and rest-xml protocols) read by expat into JSON, bounded, no DTD, no entities of its own.
 *
 * Shape: an element with only text becomes a string; an element with children becomes an object of its children; a
 * child name that appears again becomes an array. Attributes and namespaces are dropped. The root's own value is
 * returned and its name put into `ret_root` (64 bytes). Use xml_list() because one <member> and many look different. */
#pragma once

#include "common/codec/json.h"

json_t *xml_read(const char *bytes, size_t len, char ret_root[64], struct err *err); /* new reference or NULL */
/* The list at `path` ("Roles.member"): always a new array, empty when absent, of one when single. New reference. */
json_t *xml_list(const json_t *value, const char *path);
/* Appends `text` escaped for element content or attribute values. */
void xml_escape(struct str *out, const char *text);

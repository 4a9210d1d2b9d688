/* `{name}` in texts and in all texts of a JSON document. `${..}` is left alone (IAM's own variables), `{{` is a brace.
 */
#pragma once

#include "common/codec/json.h"

/* vars: object of texts. New text (mem_free) or NULL with ERR_VARIABLE_UNDEFINED naming the variable. */
char *template_text(const char *text, const json_t *vars, struct err *err);
/* The same for every text and key below `value`. New reference or NULL. */
json_t *template_json(const json_t *value, const json_t *vars, struct err *err);
/* Adds the names used below `value` to the set (an object, name -> true). ERR_SYNTAX on a brace that never closes. */
NODISCARD int template_names(const json_t *value, json_t *set, struct err *err);

/* What an undo of an import would do, for people to read before they decide: from its document, its steps' results and
 * the playbook, without a call to AWS. Each removal is checked live against ownership by the step itself, so the plan
 * says what is tried, and what is kept in any case. Pure. */
#pragma once

#include "dispatcher/planner/playbook.h"

/* `import`: from import_fetch. New reference:
 * {"import_id", "external_ref", "state", "possible": bool, "why_not"?, "removes": [{step, what, how}],
 *  "people": [{step, party, title}], "remains": [{step, what, owner, command?}], "order": [step], "note"} */
json_t *undo_plan(const json_t *import, const struct playbook *p);

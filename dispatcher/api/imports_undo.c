/* Undo: the plan first, then the decision. Cancelling without keeping is the same decision. */
#include "common/base/mem.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/undo_plan.h"

#include <stdio.h>

/* The import's own playbook; NULL when this dispatcher does not have it (any more). */
static const struct playbook *playbook_of(const struct api *api, const json_t *doc)
{
    for (size_t i = 0; i < api->store->playbook_count; i++)
        if (playbook_is(api->store->playbooks[i], json_str_at(doc, "playbook")) &&
            json_array_size(json_at(doc, "steps")) == api->store->playbooks[i]->dag.step_count)
            return api->store->playbooks[i];
    return NULL;
}

static const struct playbook *need_playbook(struct op *op, const struct err *err, const json_t *value)
{
    const struct playbook *p = err ? NULL : playbook_of(op->api, json_at(value, "doc"));
    if (err)
        op_fail(op, err, NULL);
    else if (!p)
        op_fail_code(op, ERR_STATE_CONFLICT, "this dispatcher does not have the playbook %s of the import",
                     json_str_at(value, "doc.playbook"));
    return p;
}

static void plan_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    const struct playbook *p = need_playbook(op, err, value);
    if (p)
        op_reply(op, 200, undo_plan(value, p), NULL);
}

void imports_undo_plan(struct http_request *r, void *arg)
{
    if (!api_import_id(r, http_param(r, 0)))
        return;
    struct op *op = op_new(arg, r);
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(r, 0));
    import_fetch(op->api, op->import_id, false, plan_read, op);
}

static void undo_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    const struct playbook *p = need_playbook(op, err, value);
    if (!p)
        return;
    AUTO_FREE char *text = import_decision(op, "undo");
    queue_undo(op->api->store->queue, op->import_id, &p->undo, p->undo_again, text, import_acted, op);
}

void imports_undo_begin(struct op *op)
{
    import_fetch(op->api, op->import_id, false, undo_read, op);
}

static void undo_start(struct op *op)
{
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(op->r, 0));
    if (op_read_body(op, false) && op_check_fields(op, "reason,by", "reason,by"))
        imports_undo_begin(op);
}

void imports_undo(struct http_request *r, void *arg)
{
    if (api_import_id(r, http_param(r, 0)))
        op_start(arg, r, undo_start);
}

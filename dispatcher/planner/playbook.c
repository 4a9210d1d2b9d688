#include "dispatcher/planner/playbook.h"

#include "dispatcher/planner/undo_dag.h"

#include "common/base/mem.h"
#include "common/codec/file.h"

#include <stdio.h>

int playbook_step(const struct playbook *p, const char *name)
{
    for (int i = 0; i < p->dag.step_count; i++)
        if (str_eq(json_str_at(p->steps[i], "id"), name))
            return i;
    return -1;
}

bool playbook_is(const struct playbook *p, const char *reference)
{
    char full[96];
    (void)snprintf(full, sizeof full, "%s@%lld", p->name, (long long)p->version);
    return str_eq(reference, p->name) || str_eq(reference, full);
}

void playbook_free(struct playbook *p)
{
    if (!p)
        return;
    json_decref(p->json);
    mem_free(p);
}

static int read_class(const json_t *step, struct dag_step *ret, struct err *err)
{
    const char *name = json_str_at(step, "class");
    if (!str_in_list("none,reader,writer", name))
        return err_set(err, ERR_FIELD_INVALID, "class must be none, reader or writer");
    ret->class_ = str_eq(name, "writer") ? DAG_WRITER : str_eq(name, "reader") ? DAG_READER : DAG_NONE;
    const char *on_fail = json_str_or(step, "on_fail", "stop");
    if (!str_in_list("stop,continue", on_fail))
        return err_set(err, ERR_FIELD_INVALID, "on_fail must be stop or continue");
    ret->on_fail = str_eq(on_fail, "continue") ? DAG_CONTINUE : DAG_STOP;
    int64_t attempts = json_has(step, "attempts_max") ? json_int_at(step, "attempts_max") : 8;
    if (attempts < 1 || attempts > 255)
        return err_set(err, ERR_FIELD_INVALID, "attempts_max must be 1 to 255");
    ret->attempts_max = (uint8_t)attempts;
    return 0;
}

static int read_step(struct playbook *p, uint8_t index, struct err *err)
{
    const json_t *step = p->steps[index];
    const char *id = json_str_at(step, "id");
    if (!*id || strlen(id) > 63 || playbook_step(p, id) != index)
        return err_set(err, ERR_FIELD_INVALID, "step %u has no id of its own", index);
    if (!str_in_list("human,aws,check,wait", json_str_at(step, "kind")) || !*json_str_at(step, "title"))
        return err_set(err, ERR_FIELD_INVALID, "%s: kind must be human, aws, check or wait, and a title is needed", id);
    struct dag_step *out = &p->dag.steps[index];
    if (read_class(step, out, err) < 0)
        return err_wrap(err, "%s", id);
    const json_t *needs = json_at(step, "needs");
    if (json_array_size(needs) >= RECORD_STEPS_MAX)
        return err_set(err, ERR_FIELD_INVALID, "%s: too many needs", id);
    for (size_t i = 0; i < json_array_size(needs); i++) {
        int from = playbook_step(p, json_string_value(json_array_get(needs, i)));
        if (from < 0)
            return err_set(err, ERR_FIELD_INVALID, "%s: needs a step that does not exist", id);
        out->needs[out->needs_count++] = (uint8_t)from;
    }
    return 0;
}

int playbook_from_json(const json_t *json, struct playbook **ret, struct err *err)
{
    AUTO_PLAYBOOK struct playbook *p = MEM_NEW(struct playbook);
    p->json = json_deep_copy(json);
    p->version = json_int_at(json, "version");
    const json_t *steps = json_at(p->json, "steps");
    const char *name = json_str_at(json, "name");
    if (!*name || strlen(name) >= sizeof p->name || p->version < 1)
        return err_set(err, ERR_FIELD_INVALID, "a playbook needs a name and a version from 1");
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    if (!json_array_size(steps) || json_array_size(steps) > RECORD_STEPS_MAX)
        return err_set(err, ERR_FIELD_INVALID, "%s: 1 to %d steps", name, RECORD_STEPS_MAX);
    p->dag.step_count = (uint8_t)json_array_size(steps);
    for (uint8_t i = 0; i < p->dag.step_count; i++)
        p->steps[i] = json_array_get(steps, i);
    for (uint8_t i = 0; i < p->dag.step_count; i++)
        if (read_step(p, i, err) < 0)
            return err_wrap(err, "playbook %s", name);
    if (dag_finish(&p->dag, err) < 0)
        return err_wrap(err, "playbook %s", name);
    if (undo_dag(p, &p->undo, &p->undo_again, err) < 0)
        return err_wrap(err, "playbook %s, backwards", name);
    *ret = TAKE(p);
    return 0;
}

int playbook_load(const char *path, struct playbook **ret, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(path, 1 << 20, &text, &len, err) < 0)
        return -1;
    json_auto_t *json = json_read(text, len, 0, err);
    if (!json)
        return err_wrap(err, "%s", path);
    return playbook_from_json(json, ret, err);
}

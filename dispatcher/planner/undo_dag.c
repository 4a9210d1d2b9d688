#include "dispatcher/planner/undo_dag.h"

enum way { WAY_BACK, WAY_OPEN, WAY_CLOSE };

static enum way way_of(const struct playbook *p, size_t i)
{
    const char *word = json_str_at(p->steps[i], "undo");
    return str_eq(word, "open") ? WAY_OPEN : str_eq(word, "close") ? WAY_CLOSE : WAY_BACK;
}

static void add_need(struct dag_step *s, size_t need)
{
    for (size_t k = 0; k < s->needs_count; k++)
        if (s->needs[k] == need)
            return;
    s->needs[s->needs_count++] = (uint8_t)need;
}

static int read_needs(const struct playbook *p, size_t i, struct dag_step *s, struct err *err)
{
    const json_t *given = json_at(p->steps[i], "undo_needs");
    for (size_t k = 0; k < json_array_size(given); k++) {
        int need = playbook_step(p, json_string_value(json_array_get(given, k)));
        if (need < 0 || (size_t)need == i || way_of(p, (size_t)need) != WAY_BACK)
            return err_set(err, ERR_FIELD_INVALID, "%s: undo_needs names a step that is not undone before it",
                           json_str_at(p->steps[i], "id"));
        add_need(s, (size_t)need);
    }
    return 0;
}

/* Who needed this step in the playbook is taken back before it. */
static void reverse_needs(const struct playbook *p, size_t i, struct dag_step *s)
{
    for (size_t k = 0; k < p->dag.steps[i].next_count; k++)
        if (way_of(p, p->dag.steps[i].next[k]) == WAY_BACK)
            add_need(s, p->dag.steps[i].next[k]);
}

static int set_needs(const struct playbook *p, size_t i, struct dag_step *s, struct err *err)
{
    enum way way = way_of(p, i);
    const json_t *word = json_at(p->steps[i], "undo");
    if (word && !str_in_list("open,close,back", json_string_value(word)))
        return err_set(err, ERR_FIELD_INVALID, "%s: undo must be open, close or back", json_str_at(p->steps[i], "id"));
    if (json_has(p->steps[i], "undo_needs") ? way != WAY_BACK || read_needs(p, i, s, err) : 0)
        return -1;
    if (way == WAY_BACK && !json_has(p->steps[i], "undo_needs"))
        reverse_needs(p, i, s);
    for (size_t k = 0; k < p->dag.step_count; k++) {
        enum way other = way_of(p, k);
        bool is_needed = false;
        for (size_t n = 0; n < p->dag.steps[i].needs_count; n++)
            is_needed |= p->dag.steps[i].needs[n] == k;
        if ((way == WAY_BACK && other == WAY_OPEN) || (way == WAY_CLOSE && other == WAY_BACK) ||
            (way != WAY_BACK && other == way && is_needed))
            add_need(s, k);
    }
    return 0;
}

int undo_dag(const struct playbook *p, struct dag *ret, uint64_t *ret_again, struct err *err)
{
    *ret = (struct dag){.step_count = p->dag.step_count};
    *ret_again = 0;
    for (size_t i = 0; i < p->dag.step_count; i++) {
        struct dag_step *s = &ret->steps[i];
        s->class_ = p->dag.steps[i].class_;
        s->attempts_max = p->dag.steps[i].attempts_max;
        s->on_fail = DAG_STOP; /* what could not be taken back is looked at before anything is proven */
        if (set_needs(p, i, s, err) < 0)
            return -1;
        if (way_of(p, i) != WAY_BACK)
            *ret_again |= 1ULL << i;
    }
    return dag_finish(ret, err);
}

size_t undo_order(const struct dag *dag, uint8_t ret[RECORD_STEPS_MAX])
{
    bool is_placed[RECORD_STEPS_MAX] = {false};
    size_t count = 0;
    for (size_t before = 1; before != count && count < dag->step_count;) {
        before = count;
        for (size_t i = 0; i < dag->step_count; i++) {
            bool is_free = !is_placed[i];
            for (size_t k = 0; k < dag->steps[i].needs_count; k++)
                is_free &= is_placed[dag->steps[i].needs[k]];
            if (!is_free)
                continue;
            is_placed[i] = true;
            ret[count++] = (uint8_t)i;
        }
    }
    return count;
}

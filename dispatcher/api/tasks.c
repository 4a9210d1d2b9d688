/* Tasks: what is asked of people, oldest first over all shards, and their answers. */
#include "common/base/mem.h"
#include "common/log/log.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/shape.h"

#include <regex.h>
#include <stdio.h>

/* ---- List
 * -------------------------------------------------------------------------------------------------------------------
 */

/* Oldest first over all shards: the oldest head is taken until there are enough. The cursor is the last one taken of
 * each shard ("imp_../3@1700000000000", joined by commas), what the filter left out included. */
#define MEMBER_BYTES (IMPORT_ID_BYTES + 32)
#define PAGE 500

struct shard_tasks {
    char after[MEMBER_BYTES];
    json_t *data;
    size_t at;
    bool is_end; /* nothing behind `data` */
};

struct walk {
    struct api *api;
    struct http_request *r;
    char *party, *import_id;
    uint32_t limit, waiting, shard_count;
    struct shard_tasks *shards;
    json_t *rows; /* {import_id, step, opened_ms, task} */
    bool has_more;
    struct err err;
};

static void walk_free(struct walk *w)
{
    w->api->store->busy--;
    for (uint32_t i = 0; i < w->shard_count; i++)
        json_decref(w->shards[i].data);
    mem_free(w->shards);
    mem_free(w->party);
    mem_free(w->import_id);
    json_decref(w->rows);
    mem_free(w);
}

static const char *row_step(const struct walk *w, const json_t *row)
{
    const json_t *doc = json_object_get(w->api->documents, json_str_at(row, "import_id"));
    return import_step_name(doc, (size_t)json_int_at(row, "step"));
}

static char *walk_cursor(const struct walk *w)
{
    AUTO_STR struct str out;
    str_init(&out, 65536);
    for (uint32_t i = 0; i < w->shard_count; i++)
        if (w->shards[i].after[0])
            str_addf(&out, "%s%s", out.len ? "," : "", w->shards[i].after);
    return str_take(&out);
}

static void walk_reply(struct walk *w)
{
    if (w->err.code) {
        http_reply_err(w->r, &w->err, NULL);
        walk_free(w);
        return;
    }
    json_t *data = json_array();
    for (size_t i = 0; i < json_array_size(w->rows); i++) {
        const json_t *row = json_array_get(w->rows, i);
        const char *id = json_str_at(row, "import_id");
        json_t *view = import_task_view(json_object_get(w->api->documents, id), id, row_step(w, row),
                                        json_at(row, "task"), json_int_at(row, "opened_ms"));
        if (view)
            (void)json_array_append_new(data, view);
    }
    json_t *reply = json_object();
    AUTO_FREE char *next = walk_cursor(w);
    json_put(reply, "data", data);
    json_put_bool(reply, "has_more", w->has_more);
    json_put_str(reply, "next", w->has_more ? next : NULL);
    http_reply_json(w->r, 200, reply);
    walk_free(w);
}

static void document_read(void *arg, const struct err *err, const json_t *value)
{
    struct walk *w = arg;
    (void)value; /* import_fetch remembers the document */
    if (err && err->code != ERR_NOT_FOUND)
        w->err = *err;
    if (--w->waiting == 0)
        walk_reply(w);
}

/* Names of steps and external refs come from the documents: read once per import, then known. */
static void read_documents(struct walk *w)
{
    json_auto_t *asked = json_object();
    w->waiting = 1;
    for (size_t i = 0; i < json_array_size(w->rows); i++) {
        const char *id = json_str_at(json_array_get(w->rows, i), "import_id");
        if (json_object_get(w->api->documents, id) || json_object_get(asked, id))
            continue;
        json_put_bool(asked, id, true);
        w->waiting++;
        import_fetch(w->api, id, false, document_read, w);
    }
    if (--w->waiting == 0)
        walk_reply(w);
}

static void walk_on(struct walk *w);

static bool is_wanted(const struct walk *w, const json_t *row)
{
    const char *party = json_str_at(row, "task.party");
    return (!w->party || str_eq(party, w->party) ||
            (str_eq(party, "customer+operator") && str_in_list("customer,operator", w->party))) &&
           (!w->import_id || str_eq(w->import_id, json_str_at(row, "import_id")));
}

struct page {
    struct walk *walk;
    uint32_t shard;
};

static void page_read(void *arg, const struct err *err, json_t *value)
{
    struct page *p = arg;
    struct walk *w = p->walk;
    struct shard_tasks *s = &w->shards[p->shard];
    mem_free(p);
    if (err) {
        w->err = *err;
    } else {
        json_decref(s->data);
        s->data = json_incref(json_object_get(value, "data"));
        s->at = 0;
        s->is_end = !*json_str_at(value, "next");
        if (!s->is_end && !json_array_size(s->data)) /* all of the page closed meanwhile */
            (void)snprintf(s->after, sizeof s->after, "%s", json_str_at(value, "next"));
    }
    json_decref(value);
    if (--w->waiting)
        return;
    if (w->err.code)
        walk_reply(w);
    else
        walk_on(w);
}

/* Asks every shard that has run dry for its next page; false when none has. */
static bool read_pages(struct walk *w)
{
    w->waiting = 1;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        struct shard_tasks *s = &w->shards[i];
        if (s->is_end || s->at < json_array_size(s->data))
            continue;
        struct page *p = MEM_NEW(struct page);
        *p = (struct page){w, i};
        w->waiting++;
        queue_tasks(w->api->store->queue, i, s->after, PAGE, page_read, p);
    }
    return --w->waiting != 0;
}

static struct shard_tasks *oldest(struct walk *w)
{
    struct shard_tasks *best = NULL;
    int64_t best_ms = 0;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        const json_t *head = json_array_get(w->shards[i].data, w->shards[i].at);
        if (head && (!best || json_int_at(head, "opened_ms") < best_ms)) {
            best = &w->shards[i];
            best_ms = json_int_at(head, "opened_ms");
        }
    }
    return best;
}

static void walk_on(struct walk *w)
{
    while (json_array_size(w->rows) < w->limit) {
        if (read_pages(w))
            return;
        struct shard_tasks *s = oldest(w);
        if (!s)
            break;
        json_t *row = json_array_get(s->data, s->at++);
        (void)snprintf(s->after, sizeof s->after, "%.*s/%lld@%lld", IMPORT_ID_BYTES - 1, json_str_at(row, "import_id"),
                       (long long)json_int_at(row, "step"), (long long)json_int_at(row, "opened_ms"));
        if (is_wanted(w, row))
            (void)json_array_append(w->rows, row);
    }
    for (uint32_t i = 0; i < w->shard_count; i++)
        w->has_more |= !w->shards[i].is_end || w->shards[i].at < json_array_size(w->shards[i].data);
    read_documents(w);
}

static bool read_cursor(struct walk *w, const char *cursor)
{
    AUTO_FREE char *copy = mem_dup(cursor);
    char *rest = copy;
    for (char *member = strsep(&rest, ","); member; member = strsep(&rest, ",")) {
        uint32_t shard = str_starts(member, "imp_") ? queue_shard_of_import(member) : w->shard_count;
        if (shard >= w->shard_count || strlen(member) >= MEMBER_BYTES || !shape_is_slug(member, MEMBER_BYTES, "_/@"))
            return false;
        (void)snprintf(w->shards[shard].after, MEMBER_BYTES, "%s", member);
    }
    return true;
}

void tasks_list(struct http_request *r, void *arg)
{
    struct api *api = arg;
    uint32_t limit = 0;
    const char *party = http_query(r, "party"), *import_id = http_query(r, "import_id"),
               *cursor = http_query(r, "starting_after");
    if (!api_limit(r, 100, 1000, &limit) || (import_id && !api_import_id(r, import_id)))
        return;
    struct walk *w = MEM_NEW(struct walk);
    *w =
        (struct walk){.api = api, .r = r, .limit = limit, .rows = json_array(), .shard_count = api->store->shard_count};
    w->shards = mem_alloc(sizeof *w->shards * w->shard_count);
    api->store->busy++;
    w->party = party && *party ? mem_dup(party) : NULL;
    w->import_id = import_id ? mem_dup(import_id) : NULL;
    for (uint32_t i = 0; import_id && i < w->shard_count; i++)
        w->shards[i].is_end = i != queue_shard_of_import(import_id);
    if (cursor && !read_cursor(w, cursor))
        (void)err_set(&w->err, ERR_FIELD_INVALID, "starting_after is the `next` of an earlier answer");
    if (party && *party && !str_in_list("customer,operator,customer+operator", party))
        (void)err_set(&w->err, ERR_FIELD_INVALID, "party is customer, operator or customer+operator");
    if (w->err.code)
        walk_reply(w);
    else
        walk_on(w);
}

/* ---- One
 * -----------------------------------------------------------------------------------------------------------------------
 */

/* "tsk_<import id without imp_>.<step>" */
static bool read_task_id(struct op *op, const char *id, char step[64])
{
    const char *dot = strchr(id, '.');
    size_t n = dot ? (size_t)(dot - id) : 0;
    if (!str_starts(id, "tsk_") || n < 8 || n >= IMPORT_ID_BYTES || strlen(dot + 1) >= 64 ||
        !shape_is_name(dot + 1, 63)) {
        op_fail_code(op, ERR_NOT_FOUND, "there is no such task");
        return false;
    }
    (void)snprintf(op->import_id, sizeof op->import_id, "imp_%.*s", (int)(n - 4), id + 4);
    (void)snprintf(step, 64, "%s", dot + 1);
    return true;
}

static const json_t *find_task(struct op *op, const json_t *value, const char **ret_step)
{
    char step[64];
    if (!read_task_id(op, http_param(op->r, 0), step))
        return NULL;
    op->step = import_step_index(json_at(value, "doc"), step);
    const json_t *one = op->step < 0 ? NULL : json_array_get(json_at(value, "steps"), (size_t)op->step);
    if (!one) {
        op_fail_code(op, ERR_NOT_FOUND, "there is no such task");
        return NULL;
    }
    if (!json_is_object(json_at(one, "task"))) {
        op_fail_code(op, ERR_STATE_CONFLICT, "the task is not open; its step is %s", json_str_at(one, "state"));
        return NULL;
    }
    *ret_step = json_str_at(one, "name");
    return one;
}

/* When it was opened stands in the index only. */
static void opened_read(void *arg, const redisReply *reply)
{
    struct op *op = arg;
    uint64_t opened_ms = 0;
    (void)str_to_u64(store_text(reply), INT64_MAX, &opened_ms);
    const char *name = json_str_at(op->value, "name");
    json_auto_t *doc = json_incref(json_object_get(op->api->documents, op->import_id));
    op_reply(op, 200, import_task_view(doc, op->import_id, name, json_at(op->value, "task"), (int64_t)opened_ms), NULL);
}

static void task_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    const char *name = "";
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    const json_t *step = find_task(op, value, &name);
    if (!step)
        return;
    op->value = json_deep_copy(step);
    char key[128], member[MEMBER_BYTES];
    struct err why = {0};
    queue_key(op->api->store->queue, queue_shard_of_import(op->import_id), "tasks", key);
    (void)snprintf(member, sizeof member, "%s/%d", op->import_id, op->step);
    if (redis_send_to(op->api->store->redis, redis_route(key), 3, (const char *[]){"ZSCORE", key, member}, NULL,
                      opened_read, op, &why) < 0)
        op_fail(op, &why, NULL);
}

void tasks_get(struct http_request *r, void *arg)
{
    struct op *op = op_new(arg, r);
    char step[64];
    if (read_task_id(op, http_param(r, 0), step))
        import_fetch(op->api, op->import_id, false, task_read, op);
}

/* ---- Answers
 * ----------------------------------------------------------------------------------------------------------------------
 */

static void signalled(void *arg, const struct err *err)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 200,
                 json_make("{s:s, s:s, s:s}", "object", "task", "id", http_param(op->r, 0), "import_id", op->import_id),
                 NULL);
}

static bool fits(const char *pattern, const char *text)
{
    AUTO_FREE char *anchored = mem_printf("^(%s)$", pattern);
    regex_t re;
    if (regcomp(&re, anchored, REG_EXTENDED | REG_NOSUB) != 0)
        return true; /* the step will judge */
    bool is_match = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return is_match;
}

/* What a "done" must say: a name; a word where AWS cannot be read; the code where one is asked for. */
static bool check_done(struct op *op, const json_t *task)
{
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    const json_t *body = op->body;
    const char *code = json_str_at(body, "code"), *pattern = json_str_at(task, "input.pattern");
    if (json_bool_at(task, "attest") && !*json_str_at(body, "note"))
        faults_add(&faults, (struct place){.field = "note"}, ERR_FIELD_MISSING,
                   "AWS cannot be asked here: say in a note what was done");
    if (json_is_object(json_at(task, "input")) && !*code)
        faults_add(&faults, (struct place){.field = "code"}, ERR_FIELD_MISSING, "%s is needed",
                   json_str_or(task, "input.label", "the code"));
    else if (*code && *pattern && !fits(pattern, code))
        faults_add(&faults, (struct place){.field = "code"}, ERR_FIELD_INVALID, "must look like %s", pattern);
    if (*json_str_at(body, "second_person") && str_eq(json_str_at(body, "second_person"), json_str_at(body, "by")))
        faults_add(&faults, (struct place){.field = "second_person"}, ERR_FIELD_INVALID,
                   "the second person is another one");
    if (!faults.count)
        return true;
    struct err err = {0};
    (void)err_set(&err, faults_first(&faults), "the task asks for more");
    op_fail(op, &err, faults.list);
    return false;
}

static void send_signal(struct op *op, const char *key)
{
    json_put_int(op->body, "at_ms", (json_int_t)env_unix_ms(op->api->store->env));
    AUTO_FREE char *text = json_text(op->body);
    log_event(LOG_INFO, "task.answered", "import", op->import_id, "key", key, "by", json_str_at(op->body, "by"), NULL);
    queue_signal(op->api->store->queue, op->import_id, op->step, key, text, signalled, op);
}

static void answer_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    const char *name = "", *key = json_string_value(op->value);
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    const json_t *step = find_task(op, value, &name);
    if (step && (!str_eq(key, "done") || check_done(op, json_at(step, "task"))))
        send_signal(op, key);
}

static void answer(struct op *op, const char *key, const char *known, const char *required)
{
    char step[64];
    op->value = json_string(key);
    if (read_task_id(op, http_param(op->r, 0), step) && op_read_body(op, !*required) &&
        op_check_fields(op, known, required))
        import_fetch(op->api, op->import_id, false, answer_read, op);
}

static void done_start(struct op *op)
{
    answer(op, "done", "by,note,code,second_person", "by");
}

static void reject_start(struct op *op)
{
    answer(op, "reject", "by,reason", "by,reason");
}

static void recheck_start(struct op *op)
{
    answer(op, "recheck", "by", "");
}

void tasks_done(struct http_request *r, void *arg)
{
    op_start(arg, r, done_start);
}

void tasks_reject(struct http_request *r, void *arg)
{
    op_start(arg, r, reject_start);
}

void tasks_recheck(struct http_request *r, void *arg)
{
    op_start(arg, r, recheck_start);
}

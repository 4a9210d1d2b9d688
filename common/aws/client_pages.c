/* Pages: the next token into the args, the lists of all pages into one. Ends by token, never by an empty page; a token
 * that does not change, too many pages or too many bytes end it with an error. */
#include "common/aws/client_internal.h"

/* The object that holds the last part of `path`, and that part; NULL when it is not there. */
static json_t *holder_of(json_t *value, const char *path, const char **ret_name)
{
    const char *dot = strrchr(path, '.');
    *ret_name = dot ? dot + 1 : path;
    if (!dot)
        return json_is_object(value) ? value : NULL;
    AUTO_FREE char *above = mem_dup_bytes(path, (size_t)(dot - path));
    json_t *at = value;
    for (char *p = above; at && *p;) {
        size_t n = strcspn(p, ".");
        bool is_last = p[n] == 0;
        p[n] = 0;
        at = json_object_get(at, p);
        p += n + !is_last;
    }
    return json_is_object(at) ? at : NULL;
}

json_t *call_args(const struct aws_call *call)
{
    if (!call->token)
        return json_incref(call->args);
    json_t *args = json_deep_copy(call->args);
    const char *name = NULL;
    json_t *holder = holder_of(args, call->op->pages->token_arg, &name);
    if (holder)
        json_put_str(holder, name, call->token);
    return args;
}

/* Appends the arrays of `page` named in the comma list to those of `joined`. */
static void join_lists(json_t *joined, json_t *page, const char *lists)
{
    AUTO_FREE char *names = mem_dup(lists);
    for (char *p = names; *p;) {
        size_t n = strcspn(p, ",");
        bool is_last = p[n] == 0;
        p[n] = 0;
        const char *to_name = NULL, *from_name = NULL;
        json_t *to = holder_of(joined, p, &to_name), *from = holder_of(page, p, &from_name);
        json_t *more = from ? json_object_get(from, from_name) : NULL;
        json_t *list = to ? json_object_get(to, to_name) : NULL;
        if (json_is_array(list) && json_is_array(more))
            (void)json_array_extend(list, more);
        else if (to && !json_is_array(list) && json_is_array(more))
            (void)json_object_set(to, to_name, more);
        p += n + !is_last;
    }
}

/* Takes the token out of the page's facts: NULL when there is none. */
static char *take_token(json_t *page, const char *path)
{
    const char *name = NULL;
    json_t *holder = holder_of(page, path, &name);
    const char *text = holder ? json_string_value(json_object_get(holder, name)) : NULL;
    char *token = text && *text ? mem_dup(text) : NULL;
    if (holder)
        (void)json_object_del(holder, name);
    return token;
}

int call_join(struct aws_call *call, json_t *page, struct err *err)
{
    const struct aws_pages *pages = call->op->pages;
    call->pages++;
    if (!pages || !json_is_object(page)) {
        json_decref(call->facts);
        call->facts = page;
        return 0;
    }
    AUTO_FREE char *token = take_token(page, pages->token_fact);
    if (!call->facts) {
        call->facts = page;
    } else {
        join_lists(call->facts, page, pages->list);
        json_decref(page);
    }
    if (!token)
        return 0;
    uint32_t max = pages->pages_max ? pages->pages_max : AWS_PAGES_MAX;
    if (call->pages >= max)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %u pages", call->op->name, max);
    if (call->bytes_all > AWS_PAGES_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes in all pages", call->op->name, AWS_PAGES_BYTES_MAX);
    if (call->token && str_eq(call->token, token))
        return err_set(err, ERR_AWS_ANSWER, "%s: the same page is announced again and again", call->op->name);
    mem_free(call->token);
    call->token = TAKE(token);
    return 1;
}

/* The client's front: who may call (grant, account, mode), and when a request leaves (rate, group, places). Everything
 * that leaves goes through one pump, driven by one timer, so a caller is never answered from inside aws_call(). */
#include "common/aws/client_internal.h"

#include <stdio.h>

/* ---- Lists and the heap of times ------------------------------------------------------------------------------------
 */
static void list_add(struct call_list *list, struct aws_call *call)
{
    ASSERT(!call->list);
    call->list = list;
    call->list_next = NULL;
    call->list_prev = list->last;
    if (list->last)
        list->last->list_next = call;
    else
        list->first = call;
    list->last = call;
}

static void list_remove(struct aws_call *call)
{
    struct call_list *list = call->list;
    if (!list)
        return;
    if (call->list_prev)
        call->list_prev->list_next = call->list_next;
    else
        list->first = call->list_next;
    if (call->list_next)
        call->list_next->list_prev = call->list_prev;
    else
        list->last = call->list_prev;
    call->list = NULL;
    call->list_next = call->list_prev = NULL;
}

static bool is_earlier(const struct aws_call *a, const struct aws_call *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void heap_put(struct aws_client *client, size_t place, struct aws_call *call)
{
    client->heap[place - 1] = call;
    call->heap_place = place;
}

static void heap_settle(struct aws_client *client, struct aws_call *call)
{
    size_t at = call->heap_place;
    for (; at > 1 && is_earlier(call, client->heap[at / 2 - 1]); at /= 2)
        heap_put(client, at, client->heap[at / 2 - 1]);
    for (;;) {
        size_t child = at * 2;
        if (child > client->heap_count)
            break;
        if (child < client->heap_count && is_earlier(client->heap[child], client->heap[child - 1]))
            child++;
        if (!is_earlier(client->heap[child - 1], call))
            break;
        heap_put(client, at, client->heap[child - 1]);
        at = child;
    }
    heap_put(client, at, call);
}

static void heap_add(struct aws_client *client, struct aws_call *call)
{
    if (client->heap_count == client->heap_cap) {
        client->heap_cap = client->heap_cap ? client->heap_cap * 2 : 64;
        client->heap = mem_resize(client->heap, client->heap_cap * sizeof(struct aws_call *));
    }
    heap_put(client, ++client->heap_count, call);
    heap_settle(client, call);
}

static void heap_remove(struct aws_call *call)
{
    struct aws_client *client = call->client;
    size_t place = call->heap_place;
    if (!place)
        return;
    struct aws_call *last = client->heap[--client->heap_count];
    call->heap_place = 0;
    if (last != call) {
        heap_put(client, place, last);
        heap_settle(client, last);
    }
}

/* ---- Life -----------------------------------------------------------------------------------------------------------
 */
static bool group_is_idle(const struct keyed *record, uint64_t now_ms UNUSED)
{
    const struct aws_group *g = (const struct aws_group *)(const void *)record;
    return !g->in_flight && !g->waiting.first;
}

static void arm(struct aws_client *client);

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void client_release(struct aws_client *client)
{
    if (client->busy || !client->is_freed)
        return;
    rates_done(&client->rates);
    keyed_done(&client->retries);
    keyed_done(&client->groups);
    skews_done(&client->skews);
    aws_endpoints_free(client->endpoints);
    mem_free(client->user_agent);
    mem_free(client->heap);
    client->magic = 0;
    mem_free(client);
}

static struct aws_group *group_of(struct aws_call *call, bool make)
{
    char key[160];
    (void)snprintf(key, sizeof key, "%s|%.*s", call->rate_key, (int)strcspn(call->op->family, "."), call->op->family);
    struct keyed_map *map = &call->client->groups;
    struct keyed *k = make ? keyed_get(map, key, 0, NULL) : keyed_find(map, key);
    return (struct aws_group *)(void *)k;
}

static void group_leave(struct aws_call *call)
{
    if (!call->is_grouped)
        return;
    call->is_grouped = false;
    struct aws_group *group = group_of(call, false);
    ASSERT(group && group->in_flight);
    group->in_flight--;
    struct aws_call *next = group->waiting.first;
    if (next) {
        list_remove(next);
        next->is_grouped = true;
        group->in_flight++;
        list_add(&call->client->ready, next);
    }
}

/* Takes the call out of everything; the caller frees it. */
static void call_detach(struct aws_call *call)
{
    struct aws_client *client = call->client;
    if (call->http) {
        http_cancel(TAKE(call->http));
        client->flying--;
    }
    heap_remove(call);
    list_remove(call);
    group_leave(call);
    if (call->all_prev)
        call->all_prev->all_next = call->all_next;
    else
        client->all.first = call->all_next;
    if (call->all_next)
        call->all_next->all_prev = call->all_prev;
}

static void call_free(struct aws_call *call)
{
    json_decref(call->args);
    json_decref(call->facts);
    aws_identity_unref(call->identity);
    mem_free(call->token);
    call->magic = 0;
    mem_free(call);
}

void call_finish(struct aws_call *call, const json_t *facts, const struct err *err, const struct aws_fault *fault)
{
    struct aws_client *client = call->client;
    call_detach(call);
    client->stats.errors += err != NULL;
    struct aws_outcome outcome = {
        .facts = err ? NULL : facts,
        .err = err,
        .aws_code = fault ? fault->code : "",
        .request_id = fault ? fault->request_id : "",
        .tries = call->tries_all,
        .pages = call->pages,
    };
    client->busy++;
    call->done(call->arg, &outcome);
    client->busy--;
    call_free(call);
}

/* ---- Leaving --------------------------------------------------------------------------------------------------------
 */
static void call_refuse(struct aws_call *call, const struct err *err)
{
    call->refusal = *err;
    call->refusal.applied = APPLIED_NO;
    if (!*call->refusal.origin)
        (void)snprintf(call->refusal.origin, sizeof call->refusal.origin, "%s", call->op ? call->op->name : "");
    group_leave(call);
    list_add(&call->client->late, call);
}

void call_wait_until(struct aws_call *call, uint64_t due_ms)
{
    call->due_ms = due_ms;
    call->has_slot = false;
    call->order = call->client->order++;
    heap_add(call->client, call);
}

/* Its time has come: a slot of the rate first, then the group, then a place in the queue. */
static void call_advance(struct aws_call *call, uint64_t now_ms)
{
    struct aws_client *client = call->client;
    struct rate_bucket *bucket = rates_bucket(&client->rates, call->rate_key, call->op->family, now_ms);
    uint64_t due_ms = call->has_slot ? bucket->paused_until_ms : rate_take(bucket, now_ms);
    if (due_ms > now_ms) {
        /* A pause that came after the slot was taken: after it all take new slots, or they would leave as one burst. */
        call->has_slot = !call->has_slot;
        call->due_ms = due_ms;
        heap_add(client, call);
        return;
    }
    call->has_slot = true;
    uint32_t max = rate_in_flight_max(call->op->family);
    if (max) {
        struct aws_group *group = group_of(call, true);
        if (group->in_flight >= max) {
            list_add(&group->waiting, call);
            return;
        }
        group->in_flight++;
        call->is_grouped = true;
    }
    list_add(&client->ready, call);
}

static void fly(struct aws_client *client)
{
    while (client->ready.first && client->flying < client->calls_max) {
        struct aws_call *call = client->ready.first;
        list_remove(call);
        struct err err = {0};
        if (call_send(call, &err)) {
            call_refuse(call, &err);
        } else {
            client->flying++;
            client->stats.requests++;
        }
    }
}

static void pump(struct aws_client *client)
{
    client->busy++;
    while (!client->is_freed) {
        uint64_t now_ms = env_boot_ms(client->env);
        while (client->heap_count && client->heap[0]->due_ms <= now_ms) {
            struct aws_call *call = client->heap[0];
            heap_remove(call);
            call_advance(call, now_ms);
        }
        fly(client);
        struct aws_call *refused = client->late.first;
        if (!refused)
            break;
        list_remove(refused);
        struct err err = refused->refusal;
        call_finish(refused, NULL, &err, NULL);
    }
    client->busy--;
    if (!client->is_freed)
        arm(client);
    client_release(client);
}

static void on_timer(uv_timer_t *timer)
{
    pump(OBJ_CAST(timer->data, struct aws_client, AWS_CLIENT_MAGIC));
}

static void arm(struct aws_client *client)
{
    bool is_now = client->late.first || (client->ready.first && client->flying < client->calls_max);
    if (!is_now && !client->heap_count) {
        (void)uv_timer_stop(client->timer);
        return;
    }
    uint64_t now_ms = env_boot_ms(client->env);
    uint64_t wait = is_now || client->heap[0]->due_ms <= now_ms ? 0 : client->heap[0]->due_ms - now_ms;
    (void)uv_timer_start(client->timer, on_timer, wait, 0);
}

void call_on_http(void *arg, const struct http_response *response, const struct err *err)
{
    struct aws_call *call = OBJ_CAST(arg, struct aws_call, AWS_CALL_MAGIC);
    struct aws_client *client = call->client;
    client->busy++;
    call->http = NULL;
    client->flying--;
    group_leave(call);
    call_judge(call, response, err); /* the call may be gone now */
    client->busy--;
    if (!client->is_freed)
        arm(client);
    client_release(client);
}

/* ---- Public ---------------------------------------------------------------------------------------------------------
 */
int aws_client_new(uv_loop_t *loop, const struct aws_client_options *options, struct aws_client **ret, struct err *err)
{
    *ret = NULL;
    if (!options->http)
        return err_set(err, ERR_INTERNAL, "an AWS client needs an HTTP client");
    if (!options->is_simulated && options->rate_scale_pct > 100)
        return err_set(err, ERR_CONFIG, "live calls keep to half of AWS's rates: rate-scale-pct is at most 100");
    struct aws_endpoints *endpoints = NULL;
    if (aws_endpoints_new(options->is_simulated, options->endpoints, &endpoints, err))
        return -1;
    struct aws_client *client = MEM_NEW(struct aws_client);
    client->magic = AWS_CLIENT_MAGIC;
    client->loop = loop;
    client->env = options->env ? options->env : env_system();
    client->throttled = options->throttled;
    client->throttled_arg = options->throttled_arg;
    client->http = options->http;
    client->endpoints = endpoints;
    client->is_simulated = options->is_simulated;
    client->call_timeout_ms = options->call_timeout_ms ? options->call_timeout_ms : 20000;
    client->calls_max = options->calls_max ? options->calls_max : 512;
    client->user_agent = mem_dup(options->user_agent ? options->user_agent : "orgimport/" ORGIMPORT_VERSION);
    client->timer = MEM_NEW(uv_timer_t);
    (void)uv_timer_init(loop, client->timer);
    client->timer->data = client;
    rates_init(&client->rates, options->rate_scale_pct ? options->rate_scale_pct : 100);
    retry_tokens_init(&client->retries);
    keyed_init(&client->groups, sizeof(struct aws_group), group_is_idle);
    skews_init(&client->skews);
    *ret = client;
    return 0;
}

void aws_client_free(struct aws_client *client)
{
    if (!client)
        return;
    ASSERT(client->magic == AWS_CLIENT_MAGIC && !client->is_freed);
    client->is_freed = true;
    while (client->all.first) {
        struct aws_call *call = client->all.first;
        call_detach(call);
        call_free(call);
    }
    client->timer->data = NULL;
    uv_close((uv_handle_t *)client->timer, on_timer_closed);
    client->timer = NULL;
    client_release(client);
}

static bool is_listed(const struct aws_grant *grant, const struct aws_op *op)
{
    for (const struct aws_op *const *p = grant ? grant->ops : NULL; p && *p; p++)
        if (*p == op)
            return true;
    return false;
}

/* P4 and P11 in one place: nothing gets further that does not pass here. */
static int check_grant(const struct aws_client *client, const struct aws_call_input *input, struct err *err)
{
    const struct aws_op *op = input->op;
    const struct aws_identity *who = input->identity;
    if (!is_listed(input->grant, op))
        return err_set(err, ERR_OP_UNDECLARED, "%s is not in the manifest of this step", op->name);
    if (op->who == AWS_AS_NOBODY)
        return 0;
    if (!who)
        return err_set(err, op->who == AWS_AS_CUSTOMER ? ERR_AWS_CREDENTIALS : ERR_OPERATOR_CREDENTIALS,
                       "%s: there are no credentials to sign with", op->name);
    if (who->is_simulated != client->is_simulated)
        return err_set(err, ERR_FLEET_MODE, "%s: a %s credential in a %s fleet", op->name,
                       who->is_simulated ? "simulated" : "live", client->is_simulated ? "simulated" : "live");
    const char *account = input->grant->account_id ? input->grant->account_id : "";
    bool is_asserting = str_eq(op->service->sign_name, "sts") && str_eq(op->action, "GetCallerIdentity");
    if (!*account && is_asserting)
        return 0;
    if (!*account || !str_eq(account, who->account_id))
        return err_set(err, ERR_WRONG_ACCOUNT, "%s: granted for account %s, the credentials belong to %s", op->name,
                       *account ? account : "(none)",
                       *who->account_id ? who->account_id : "an account not yet asserted");
    return 0;
}

static int copy_field(char *ret, size_t size, const char *from, const char *name, struct err *err)
{
    size_t n = from ? strlen(from) : 0;
    if (n >= size)
        return err_set(err, ERR_INTERNAL, "%s is too long", name);
    if (n)
        memcpy(ret, from, n + 1);
    return 0;
}

struct aws_call *aws_call(struct aws_client *client, const struct aws_call_input *input, aws_done_fn *done, void *arg)
{
    ASSERT(client->magic == AWS_CLIENT_MAGIC && !client->is_freed && input->op);
    struct aws_call *call = MEM_NEW(struct aws_call);
    call->magic = AWS_CALL_MAGIC;
    call->client = client;
    call->done = done;
    call->arg = arg;
    call->op = input->op;
    call->all_next = client->all.first;
    if (call->all_next)
        call->all_next->all_prev = call;
    client->all.first = call;
    client->stats.calls++;
    struct err err = {0};
    if (check_grant(client, input, &err) ||
        copy_field(call->region, sizeof call->region, input->region, "region", &err) ||
        copy_field(call->bucket_owner, sizeof call->bucket_owner, input->bucket_owner, "bucket owner", &err) ||
        copy_field(call->rate_key, sizeof call->rate_key, input->rate_key, "rate key", &err) ||
        copy_field(call->label, sizeof call->label, input->label, "label", &err)) {
        call_refuse(call, &err);
    } else {
        call->args = input->args ? json_deep_copy(input->args) : json_object();
        call->identity = input->op->who == AWS_AS_NOBODY ? NULL : aws_identity_ref(input->identity);
        call->leave_before_boot_ms = input->leave_before_boot_ms;
        call->leave_before = input->leave_before;
        call->leave_arg = input->leave_arg;
        call_wait_until(call, env_boot_ms(client->env));
    }
    arm(client);
    return call;
}

void aws_call_cancel(struct aws_call *call)
{
    ASSERT(call->magic == AWS_CALL_MAGIC);
    struct aws_client *client = call->client;
    call_detach(call);
    call_free(call);
    if (!client->is_freed)
        arm(client);
}

void aws_call_leave_before(struct aws_call *call, uint64_t boot_ms)
{
    ASSERT(call->magic == AWS_CALL_MAGIC);
    call->leave_before_boot_ms = boot_ms;
    call->leave_before = NULL;
}

uint64_t aws_client_now_ms(const struct aws_client *client)
{
    int64_t now = (int64_t)env_boot_ms(client->env) + skew_of(&client->skews, NULL, client->env);
    return now > 0 ? (uint64_t)now : 0;
}

uint32_t aws_client_wait_ms(const struct aws_client *client, const char *rate_key, const struct aws_op *op)
{
    return rates_wait_ms(&client->rates, rate_key, op->family, env_boot_ms(client->env));
}

void aws_client_stats(const struct aws_client *client, struct aws_client_stats *ret)
{
    *ret = client->stats;
}

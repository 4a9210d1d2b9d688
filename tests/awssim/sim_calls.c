/* When the operator's own accounts were called: all customers' imports meet there, so their rates are the ones that
 * many imports together could break. Every request that the account signed counts, also one that is throttled. */
#include "sim_core.h"

#include <stdlib.h>
#include <string.h>

#define TIMES_MAX 100000 /* of one operation; later ones are not kept */

/* {account: {"service:Operation": [real ms, ..]}} */
static json_t *calls;

static json_t *member(json_t *of, const char *name, json_t *(*make)(void))
{
    json_t *one = json_object_get(of, name);
    if (!one) {
        one = make();
        json_object_set_new(of, name, one);
    }
    return one;
}

void sim_calls_note(const struct sim_request *rq)
{
    char name[160];
    if (rq->world->kind != NULL) /* a customer's */
        return;
    if (!calls)
        calls = json_object();
    (void)snprintf(name, sizeof name, "%s:%s", rq->service, rq->action);
    json_t *times = member(member(calls, rq->world->account, json_object), name, json_array);
    if (json_array_size(times) < TIMES_MAX)
        json_array_append_new(times, json_integer((json_int_t)sim_real_ms()));
}

json_t *sim_calls_of(const char *account)
{
    json_t *of = json_object_get(calls, account);
    return of ? json_deep_copy(of) : json_object();
}

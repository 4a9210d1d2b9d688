/* Subscriptions, on a connection of their own. A cluster tells every node what is published on any, so one is enough.
 */
#include "common/base/mem.h"
#include "common/redis/redis_private.h"

#include <string.h>

static void on_message(redisAsyncContext *ac, void *data, void *arg)
{
    const redisReply *reply = data;
    struct channel *ch = arg;
    const struct link *l = ac->data;
    if (!l || !ch->message || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        l->owner->is_closing)
        return;
    const char *kind = reply->element[0]->str;
    if (kind && strcmp(kind, "message") == 0)
        ch->message(ch->arg, ch->name, reply->element[2]->str, reply->element[2]->len);
    else /* a subscription begins, perhaps again after a loss: something may have been missed */
        ch->message(ch->arg, ch->name, "", 0);
}

static void subscribe(struct redis *r, struct channel *ch)
{
    (void)redisAsyncCommand(r->sub.ac, on_message, ch, "SUBSCRIBE %s", ch->name);
}

void sub_restore(struct redis *r)
{
    for (struct channel *ch = r->channels; ch; ch = ch->next)
        subscribe(r, ch);
}

void sub_want(struct redis *r)
{
    if (r->channels && link_is_idle(&r->sub))
        link_connect(&r->sub);
}

int redis_subscribe(struct redis *r, const char *channel, redis_message_fn *message, void *arg, struct err *err)
{
    if (r->is_closing)
        return err_set(err, ERR_REDIS, "the connection is closing");
    struct channel *ch = MEM_NEW(struct channel);
    *ch = (struct channel){.next = r->channels, .name = mem_dup(channel), .message = message, .arg = arg};
    r->channels = ch;
    if (r->sub.state == LINK_UP)
        subscribe(r, ch);
    else
        sub_want(r);
    return 0;
}

void redis_unsubscribe(struct redis *r, const void *arg)
{
    for (struct channel *ch = r->channels; ch; ch = ch->next)
        if (ch->arg == arg)
            ch->message = NULL;
}

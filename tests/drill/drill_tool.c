#include "tests/drill/drill_tool.h"

#include "common/base/assert.h"
#include "common/base/str.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 200

const char *drill_value(const char *word, const char *name)
{
    size_t len = strlen(name);
    return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, len) == 0 && word[2 + len] == '=' ? word + 3 + len
                                                                                                    : NULL;
}

bool drill_option(struct drill *d, const char *word)
{
    const char *value = NULL;
    uint64_t n = 0;
    if ((value = drill_value(word, "redis")))
        d->url = value;
    else if ((value = drill_value(word, "prefix")))
        d->prefix = value;
    else if ((value = drill_value(word, "redis-password-file")))
        d->password_file = value;
    else if ((value = drill_value(word, "durability")))
        d->is_relaxed = str_eq(value, "relaxed");
    else if ((value = drill_value(word, "shards")) && str_to_u64(value, 256, &n) && n)
        d->shards = (uint32_t)n;
    else
        return false;
    return true;
}

void drill_fail(const char *program, const char *what, const struct err *err)
{
    (void)fprintf(stderr, "%s: %s: %s (%s)\n", program, what, err->text, err_info(err->code)->name);
    exit(2);
}

static void ready(void *arg, const struct err *err)
{
    struct drill *d = arg;
    d->err = err ? *err : (struct err){0};
    d->is_answered = true;
}

static void wake(uv_timer_t *timer)
{
    (void)timer; /* the loop turns once more, which is all that is wanted */
}

void drill_open(struct drill *d, const char *program)
{
    struct err err = {0};
    struct redis_options redis = {
        .url = d->url, .password_file = d->password_file, .client_name = program, .env = env_system()};
    struct queue_options options = {.prefix = d->prefix ? d->prefix : "f",
                                    .shard_count = d->shards ? d->shards : 1,
                                    .is_simulated = true,
                                    .is_relaxed = d->is_relaxed,
                                    .env = env_system()};
    d->shards = options.shard_count;
    (void)signal(SIGPIPE, SIG_IGN);
    ASSERT(uv_loop_init(&d->loop) == 0 && uv_timer_init(&d->loop, &d->again) == 0);
    if (!d->url)
        (void)err_set(&err, ERR_USAGE, "--redis is missing");
    if (err.code || redis_new(&d->loop, &redis, &d->redis, &err))
        drill_fail(program, "redis", &err);
    for (bool is_open = false; !is_open;) {
        d->is_answered = false;
        d->queue = queue_new(d->redis, &options, ready, d);
        while (!d->is_answered)
            (void)uv_run(&d->loop, UV_RUN_ONCE);
        is_open = !d->err.code;
        if (!is_open && d->err.code != ERR_REDIS)
            drill_fail(program, "queue", &d->err);
        if (!is_open) {
            queue_free(d->queue);
            (void)uv_timer_start(&d->again, wake, AGAIN_MS, 0);
            (void)uv_run(&d->loop, UV_RUN_ONCE);
        }
    }
}

void drill_close(struct drill *d)
{
    queue_free(d->queue);
    redis_close(d->redis, NULL, NULL);
    uv_close((uv_handle_t *)&d->again, NULL);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    ASSERT(uv_loop_close(&d->loop) == 0);
}

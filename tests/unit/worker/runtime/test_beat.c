/* The heartbeat against a Redis of four lines: it beats while the loop ticks, and withholds the beat when it does not.
 */
#include "common/base/mem.h"
#include "common/log/log.h"
#include "worker/runtime/beat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static _Atomic uint64_t boot_ms = 100000;
static _Atomic uint32_t beats, rounds;
static _Atomic bool says_gone, says_halted, says_nonsense;
static char path[108];
static int listener;

static uint64_t fake_boot(void *self)
{
    (void)self;
    return atomic_load(&boot_ms);
}
static const struct env fake_env = {.boot_ms = fake_boot};

static void say(int fd, const char *text)
{
    assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Each command is answered as soon as its name is seen; hiredis sends one at a time here. */
static void answer(int fd)
{
    char bytes[4096];
    ssize_t n = 0;
    while ((n = read(fd, bytes, sizeof bytes - 1)) > 0) {
        bytes[n] = 0;
        if (strstr(bytes, "HEXISTS")) {
            atomic_fetch_add(&rounds, 1);
            say(fd, atomic_load(&says_nonsense) ? "+what\r\n" : atomic_load(&says_halted) ? ":1\r\n" : ":0\r\n");
            continue;
        }
        if (!strstr(bytes, "beat_1")) {
            say(fd, "+OK\r\n");
            continue;
        }
        say(fd,
            atomic_load(&says_gone) ? "*5\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n" : "*5\r\n:0\r\n:5\r\n:0\r\n:3\r\n:77\r\n");
        atomic_fetch_add(&beats, 1);
    }
}

/* A connection whose answer made no sense is closed, and another one made. */
static void serve(void *arg)
{
    int fd = -1;
    (void)arg;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        answer(fd);
        (void)close(fd);
    }
}

struct rig {
    uv_loop_t loop;
    uv_thread_t server;
    struct beat *beat;
    int news;
};

static void news(void *arg)
{
    struct rig *r = arg;
    r->news++;
}

static int setup(void **state)
{
    struct rig *r = MEM_NEW(struct rig);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct err err = {0};
    char url[160];
    (void)snprintf(path, sizeof path, "/tmp/orgimport-beat-%d.sock", (int)getpid());
    (void)unlink(path);
    memcpy(at.sun_path, path, strlen(path));
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(uv_thread_create(&r->server, serve, NULL), 0);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    (void)snprintf(url, sizeof url, "unix://%s", path);
    atomic_store(&beats, 0);
    atomic_store(&says_gone, false);
    atomic_store(&says_halted, false);
    atomic_store(&says_nonsense, false);
    struct beat_options options = {.env = &fake_env,
                                   .redis = {.url = url, .client_name = "", .env = env_system()},
                                   .prefix = "f",
                                   .lease_ms = 30000,
                                   .interval_ms = 5,
                                   .shard_count = 1,
                                   .news = news,
                                   .arg = r};
    assert_int_equal(beat_start(&r->loop, &options, &r->beat, &err), 0);
    beat_set_busy(r->beat, 0, true);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    beat_stop(r->beat);
    (void)shutdown(listener, SHUT_RDWR);
    uv_thread_join(&r->server);
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    (void)close(listener);
    (void)unlink(path);
    mem_free(r);
    return 0;
}

static void wait_for_beats(uint32_t more)
{
    uint32_t until = atomic_load(&beats) + more;
    for (int i = 0; i < 20000 && atomic_load(&beats) < until; i++)
        (void)usleep(500);
    assert_true(atomic_load(&beats) >= until);
}

static void counts_the_lease_from_before_the_beat(void **state)
{
    struct rig *r = *state;
    struct beat_shard *s = beat_shard(r->beat, 0);
    atomic_store(&s->session, 7);
    wait_for_beats(2);
    assert_int_equal(atomic_load(&s->lease_until), 130000);
    assert_int_equal(atomic_load(&s->held), 5);
    assert_int_equal(atomic_load(&s->ring), 3);
    assert_int_equal(atomic_load(&s->next_due_ms), 77);
    (void)uv_run(&r->loop, UV_RUN_ONCE);
    assert_true(r->news > 0);
}

static void wait_for_rounds(uint32_t more)
{
    uint32_t until = atomic_load(&rounds) + more;
    for (int i = 0; i < 20000 && atomic_load(&rounds) < until; i++)
        (void)usleep(500);
    assert_true(atomic_load(&rounds) >= until);
}

/* Here an idle shard is beaten in one of 2,000 rounds. */
static void an_idle_shard_is_beaten_as_its_lease_needs_and_a_busy_one_at_once(void **state)
{
    struct rig *r = *state;
    struct beat_shard *s = beat_shard(r->beat, 0);
    atomic_store(&s->session, 7);
    wait_for_beats(2);
    beat_set_busy(r->beat, 0, false);
    wait_for_rounds(2); /* the round under way ends */
    uint32_t had = atomic_load(&beats);
    wait_for_rounds(50);
    assert_true(atomic_load(&beats) <= had + 1);
    beat_set_busy(r->beat, 0, true);
    wait_for_beats(50);
}

static void withholds_the_beat_when_the_loop_is_silent(void **state)
{
    struct rig *r = *state;
    struct beat_shard *s = beat_shard(r->beat, 0);
    atomic_store(&s->session, 7);
    wait_for_beats(2);
    atomic_store(&boot_ms, 100000 + 30000 / 4 + 1);
    (void)usleep(50000); /* the beat under way ends; then ten intervals in which nothing may come */
    uint32_t had = atomic_load(&beats);
    (void)usleep(50000);
    assert_int_equal(atomic_load(&beats), had);
    assert_true(atomic_load(&s->lease_until) <= 130000 + 30000 / 4 + 1);
    beat_tick(r->beat);
    wait_for_beats(1);
    atomic_store(&boot_ms, 100000);
}

static void tells_that_the_session_is_gone(void **state)
{
    struct rig *r = *state;
    struct beat_shard *s = beat_shard(r->beat, 0);
    atomic_store(&says_gone, true);
    atomic_store(&s->session, 9);
    wait_for_beats(2);
    assert_int_equal(atomic_load(&s->gone), 9);
    assert_int_equal(atomic_load(&s->lease_until), 0);
}

static void a_halt_is_known_with_the_next_beat(void **state)
{
    struct rig *r = *state;
    atomic_store(&beat_shard(r->beat, 0)->session, 7);
    assert_true(beat_may_write(r->beat)); /* asked before the first beat */
    atomic_store(&says_halted, true);
    wait_for_beats(2);
    assert_false(beat_may_write(r->beat));
    assert_true(beat_is_halted(r->beat));
    atomic_store(&says_halted, false);
    wait_for_beats(2);
    assert_true(beat_may_write(r->beat));
}

/* Nobody writes on what was true a lease time ago. */
static void who_hears_nothing_for_a_lease_stops_writing(void **state)
{
    struct rig *r = *state;
    atomic_store(&beat_shard(r->beat, 0)->session, 7);
    atomic_store(&says_nonsense, true);
    wait_for_beats(2);
    assert_true(beat_may_write(r->beat));
    atomic_store(&boot_ms, 100000 + 29999);
    beat_tick(r->beat);
    assert_true(beat_may_write(r->beat));
    atomic_store(&boot_ms, 100000 + 30000);
    beat_tick(r->beat);
    wait_for_beats(2);
    assert_false(beat_may_write(r->beat));
    assert_false(beat_is_halted(r->beat));
    atomic_store(&says_nonsense, false);
    wait_for_beats(2);
    assert_true(beat_may_write(r->beat));
    atomic_store(&boot_ms, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_the_lease_from_before_the_beat, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_shard_is_beaten_as_its_lease_needs_and_a_busy_one_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(withholds_the_beat_when_the_loop_is_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_that_the_session_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_halt_is_known_with_the_next_beat, setup, teardown),
        cmocka_unit_test_setup_teardown(who_hears_nothing_for_a_lease_stops_writing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When a call may leave, and with which keys: a write is signed soon after its intent or not at all (P3), and the
 * operator's own keys are read anew once AWS has refused them. A real AWS client, a scripted server, the test's clock.
 */
#include "tests/unit/test.h"

#include "tests/lib/aws_world.h"
#include "worker/runtime/gate.h"

#include <unistd.h>

#define SIGN_WITHIN_MS 1000
#define CALL_TIMEOUT_MS 20000

static const struct aws_op op_own_write = {.name = "sts:Write",
                                           .service = &test_sts,
                                           .action = "Write",
                                           .family = "sts",
                                           .who = AWS_AS_OPERATOR,
                                           .mutates = true,
                                           .settle = SETTLE_LOOK,
                                           .build = build_form,
                                           .parse = parse_status};

#define IDENTITY                                                                                                       \
    {                                                                                                                  \
        SCRIPT_ANSWER_CLOSE, CLOSED("200 OK", "",                                                                      \
                                    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::" ACCOUNT   \
                                    ":user/op</Arn><UserId>U</UserId><Account>" ACCOUNT                                \
                                    "</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")                \
    }
#define FINE                                                                                                           \
    {                                                                                                                  \
        SCRIPT_ANSWER, BODY_OK                                                                                         \
    }

struct rig {
    struct aws_world w;
    struct later *later;
    struct gate_own own;
    struct gate *gate;
    struct step_host host;
    struct step *step;
    struct step_call call;
    json_t *import;
    char keys[64];
    uint64_t intended_ago_ms; /* before the gate was asked: how long its intent took to save */
    uint64_t lease_ms;        /* what is left of it; 0: no limit */
    bool holds_tokens, is_halted;
    later_fn *go; /* waits for tokens */
    void *go_arg;
    struct answer answer;
};

static uint64_t leave_before(void *arg)
{
    const struct rig *r = arg;
    return r->lease_ms ? r->w.boot_ms + r->lease_ms : 0;
}

static void draw(void *self, const char *account_id, const struct aws_op *op UNUSED, later_fn *go, void *arg)
{
    struct rig *r = self;
    assert_string_equal(account_id, ACCOUNT);
    if (!r->holds_tokens) {
        (void)later_add(r->later, 0, go, arg);
        return;
    }
    r->go = go;
    r->go_arg = arg;
    uv_stop(&r->w.loop);
}

static void undraw(void *self, later_fn *go, void *arg)
{
    struct rig *r = self;
    if (r->go == go && r->go_arg == arg)
        r->go = NULL;
}

static bool may_write(void *self)
{
    return !((const struct rig *)self)->is_halted;
}

static void answered(void *self, struct step_call *call UNUSED, const struct step_answer *answer)
{
    struct rig *r = self;
    r->answer.calls++;
    uv_stop(&r->w.loop); /* a timer may have been all that the loop had */
    r->answer.has_err = answer->err != NULL;
    r->answer.err = answer->err ? *answer->err : (struct err){0};
}

static void not_entered(void *self UNUSED, struct step *s UNUSED)
{
}

static uint64_t host_now(void *self)
{
    return ((struct rig *)self)->w.unix_ms;
}

static enum step_result never_run(struct step *s UNUSED)
{
    return STEP_DONE;
}

static void write_keys(struct rig *r, const char *key_id)
{
    FILE *file = fopen(r->keys, "w");
    assert_non_null(file);
    (void)fprintf(file, "[operator]\naws_access_key_id = %s\naws_secret_access_key = secret\n", key_id);
    assert_int_equal(fclose(file), 0);
}

static void begin(struct rig *r, const struct script_step *steps, size_t count)
{
    static const struct aws_op *const ops[] = {&op_operator, &op_own_write, NULL};
    static const struct step_def def = {.name = "test", .run = never_run, .ops = ops, .version = 1};
    static struct step_rules rules;
    *r = (struct rig){.keys = "/tmp/orgimport-gate-XXXXXX"};
    int fd = mkstemp(r->keys);
    assert_true(fd >= 0 && close(fd) == 0);
    write_keys(r, "AKIAFIRST0000000");
    aws_world_start(&r->w, steps, count, &(struct aws_client_options){.call_timeout_ms = CALL_TIMEOUT_MS});
    r->later = later_new(&r->w.loop, &r->w.env);
    r->import = json_make("{s:s,s:{s:s}}", "id", "imp_1", "vars", "account_id", ACCOUNT);
    struct gate_tools tools = {.session = {.env = &r->w.env,
                                           .aws = r->w.client,
                                           .later = r->later,
                                           .is_simulated = true,
                                           .keys_dir = "",
                                           .sim_credentials = r->keys,
                                           .draw_self = r,
                                           .draw = draw,
                                           .undraw = undraw},
                               .own = &r->own,
                               .sign_within_ms = SIGN_WITHIN_MS,
                               .call_timeout_ms = CALL_TIMEOUT_MS,
                               .may_write = may_write,
                               .halt_self = r,
                               .answer_self = r,
                               .answer = answered};
    r->own.sessions[AWS_AS_OPERATOR] = session_new_own(&tools.session, AWS_AS_OPERATOR, NULL, NULL);
    r->gate = gate_new(&tools, r->import, leave_before, r);
    step_rules_simulated(&rules, 1000, 100);
    r->host = (struct step_host){.self = r, .rules = &rules, .ready = not_entered, .now_ms = host_now};
    struct err err;
    assert_int_equal(
        step_new(&r->host, &(struct step_input){.def = &def, .import = r->import, .attempts = 1}, NULL, &r->step, &err),
        0);
}

static void end(struct rig *r)
{
    step_free(r->step);
    gate_free(r->gate);
    session_free(r->own.sessions[AWS_AS_OPERATOR]);
    later_close(r->later);
    json_decref(r->import);
    json_decref(r->call.args);
    aws_world_stop(&r->w);
    (void)unlink(r->keys);
}

static void ask(struct rig *r, const struct aws_op *op)
{
    json_decref(r->call.args);
    r->call = (struct step_call){.step = r->step, .op = op, .args = json_object()};
    if (r->intended_ago_ms)
        r->call.intended_ms = r->w.unix_ms - r->intended_ago_ms;
    r->answer = (struct answer){0};
    gate_call(r->gate, &r->call);
    assert_int_equal(r->answer.calls, 0); /* always late */
}

static void run_until_answered(struct rig *r)
{
    for (int turns = 0; !r->answer.calls; turns++) {
        assert_true(turns < 10000);
        (void)uv_run(&r->w.loop, UV_RUN_ONCE);
    }
}

static void run_until_tokens_are_wanted(struct rig *r)
{
    for (int turns = 0; !r->go; turns++) {
        assert_true(turns < 10000);
        (void)uv_run(&r->w.loop, UV_RUN_ONCE);
    }
}

/* An intent whose saving took so long, and tokens that come so many milliseconds later. Gives whether the call reached
 * AWS. */
static bool leaves_after(const struct aws_op *op, uint64_t saved_after_ms, uint64_t late_ms)
{
    static const struct script_step steps[] = {IDENTITY, FINE};
    struct rig r;
    begin(&r, steps, ARRAY_LEN(steps));
    r.holds_tokens = true;
    r.intended_ago_ms = saved_after_ms;
    ask(&r, op);
    run_until_tokens_are_wanted(&r);
    r.w.boot_ms += late_ms;
    r.go(r.go_arg);
    run_until_answered(&r);
    bool has_left = r.w.server.request_count == 2;
    assert_int_equal(has_left, !r.answer.has_err);
    if (!has_left) {
        assert_int_equal(r.answer.err.code, ERR_LEASE_LOST);
        assert_int_equal(r.answer.err.applied, APPLIED_NO);
    }
    end(&r);
    return has_left;
}

static void a_write_is_signed_soon_after_its_intent_or_not_at_all(void **state)
{
    (void)state;
    assert_true(leaves_after(&op_own_write, 0, 0));
    assert_true(leaves_after(&op_own_write, 0, SIGN_WITHIN_MS - 1));
    assert_false(leaves_after(&op_own_write, 0, SIGN_WITHIN_MS));
    assert_false(leaves_after(&op_own_write, 0, 100 * SIGN_WITHIN_MS));
    assert_true(leaves_after(&op_operator, 0, 100 * SIGN_WITHIN_MS)); /* a read has no intent that others judge */
    /* Redis answered the save late, or we were stopped before we read it: that time is gone, too. */
    assert_true(leaves_after(&op_own_write, SIGN_WITHIN_MS - 2, 1));
    assert_false(leaves_after(&op_own_write, SIGN_WITHIN_MS - 1, 1));
    assert_false(leaves_after(&op_own_write, SIGN_WITHIN_MS, 0));
    assert_false(leaves_after(&op_own_write, 1000000 * SIGN_WITHIN_MS, 0));
}

/* Hundreds of imports may wait for one account's tokens: who is too old goes, and takes none. */
static void who_waits_too_long_gives_the_place_back(void **state)
{
    (void)state;
    static const struct script_step steps[] = {IDENTITY};
    struct rig r;
    begin(&r, steps, ARRAY_LEN(steps));
    r.holds_tokens = true;
    ask(&r, &op_own_write);
    run_until_tokens_are_wanted(&r);
    r.w.boot_ms += SIGN_WITHIN_MS;
    run_until_answered(&r);
    assert_int_equal(r.answer.err.code, ERR_LEASE_LOST);
    assert_int_equal(r.answer.err.applied, APPLIED_NO);
    assert_null(r.go);
    assert_int_equal(r.w.server.request_count, 1);
    end(&r);
}

/* Too little left of the lease: it waits for the next heartbeat, yet never past its intent's age. */
static void waiting_for_the_lease_does_not_stretch_it(void **state)
{
    (void)state;
    static const struct script_step steps[] = {IDENTITY, FINE};
    for (int comes = 0; comes < 2; comes++) {
        struct rig r;
        begin(&r, steps, ARRAY_LEN(steps));
        r.lease_ms = 100;
        r.holds_tokens = true;
        ask(&r, &op_own_write);
        run_until_tokens_are_wanted(&r);
        r.go(r.go_arg);
        for (int looks = 0; looks < 5 && !r.answer.calls; looks++) {
            (void)uv_run(&r.w.loop, UV_RUN_NOWAIT);
            assert_int_equal(r.w.server.request_count, 1);
            r.w.boot_ms += 100;
        }
        assert_int_equal(r.answer.calls, 0);
        if (comes)
            r.lease_ms = 60000;
        else
            r.w.boot_ms += SIGN_WITHIN_MS;
        run_until_answered(&r);
        assert_int_equal(r.answer.has_err, !comes);
        assert_int_equal(r.w.server.request_count, comes ? 2 : 1);
        end(&r);
    }
}

/* The last look is just before the signature: a halt that comes while a call waits for its tokens still stops it. */
static void a_halted_fleet_signs_no_write_and_goes_on_reading(void **state)
{
    (void)state;
    static const struct script_step steps[] = {IDENTITY, FINE};
    for (int is_read = 0; is_read < 2; is_read++) {
        struct rig r;
        begin(&r, steps, ARRAY_LEN(steps));
        r.holds_tokens = true;
        ask(&r, is_read ? &op_operator : &op_own_write);
        run_until_tokens_are_wanted(&r);
        r.is_halted = true;
        r.go(r.go_arg);
        run_until_answered(&r);
        assert_int_equal(r.w.server.request_count, is_read ? 2 : 1);
        assert_int_equal(r.answer.has_err, !is_read);
        if (!is_read) {
            assert_int_equal(r.answer.err.code, ERR_FLEET_HALTED);
            assert_int_equal(r.answer.err.applied, APPLIED_NO);
        }
        end(&r);
    }
}

/* Keys are rotated while a worker runs: after AWS refused the old ones, the next call reads the file again. */
static void refused_keys_of_our_own_are_read_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        IDENTITY,
        FINE,
        {SCRIPT_ANSWER_CLOSE,
         CLOSED("403 Forbidden", "", XML_ERROR("InvalidClientTokenId", "The security token is invalid."))},
        IDENTITY,
        FINE};
    struct rig r;
    begin(&r, steps, ARRAY_LEN(steps));
    ask(&r, &op_operator);
    run_until_answered(&r);
    assert_false(r.answer.has_err);
    write_keys(&r, "AKIASECOND000000");
    ask(&r, &op_operator); /* the session is open: nothing is read for a file that merely changed */
    run_until_answered(&r);
    assert_true(r.answer.has_err);
    assert_non_null(strstr(r.w.server.requests[2], "Credential=AKIAFIRST0000000/"));
    ask(&r, &op_operator);
    run_until_answered(&r);
    if (r.answer.has_err)
        fail_msg("%s", r.answer.err.text);
    assert_non_null(strstr(r.w.server.requests[3], "Credential=AKIASECOND000000/"));
    assert_non_null(strstr(r.w.server.requests[4], "Credential=AKIASECOND000000/"));
    end(&r);
}

/* "No write, ever": what the step declares does not help a run that only looks, and nothing is dialled. */
static void a_run_that_only_looks_writes_nothing(void **state)
{
    (void)state;
    static const struct script_step steps[] = {IDENTITY, FINE};
    struct rig r;
    begin(&r, steps, ARRAY_LEN(steps));
    json_put_bool(r.import, "read_only", true);
    ask(&r, &op_own_write);
    run_until_answered(&r);
    assert_true(r.answer.has_err);
    assert_int_equal(r.answer.err.code, ERR_OP_UNDECLARED);
    assert_int_equal(r.w.server.request_count, 0);
    ask(&r, &op_operator);
    run_until_answered(&r);
    assert_false(r.answer.has_err);
    assert_int_equal(r.w.server.request_count, 2);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_signed_soon_after_its_intent_or_not_at_all),
        cmocka_unit_test(who_waits_too_long_gives_the_place_back),
        cmocka_unit_test(waiting_for_the_lease_does_not_stretch_it),
        cmocka_unit_test(a_halted_fleet_signs_no_write_and_goes_on_reading),
        cmocka_unit_test(refused_keys_of_our_own_are_read_again),
        cmocka_unit_test(a_run_that_only_looks_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The proof at the end of an undo, on the root user: as before, or somebody's, or listed; never an operator's device
 * that nobody is told of. */
#include "common/proof/verdict.h"
#include "worker/steps/undo_proof.h"

#include "tests/unit/worker/steps/fake_host.h"

#define ACCOUNT "111122223333"
#define MFA "arn:aws:iam::" ACCOUNT ":mfa/"
#define KEY "arn:aws:iam::" ACCOUNT ":u2f/root/operators-key"
#define TAKEN_MS 1800000000000

static json_t *parsed(const char *text)
{
    json_t *value = fake_json(text);
    if (!value)
        fail_msg("no JSON: %s", text);
    return value;
}

static json_t *fingerprint(const char *root, int64_t taken_ms)
{
    json_t *made = json_make("{s:I,s:{s:{s:o}}}", "taken_ms", (json_int_t)taken_ms, "sections", "iam.account", "root",
                             parsed(root));
    fingerprint_seal(made);
    return made;
}

/* What fingerprint_after does in an undo, with nothing around it. */
static const json_t *after, *events;
static enum step_result judge(struct step *s)
{
    const json_t *before = json_object_get(step_result_of(s, "fingerprint_before"), "fingerprint");
    json_t *patches = step_keep(s, undo_proof_patches(s, before, after));
    const struct verdict_input in = {.before = before,
                                     .after = after,
                                     .patches = patches,
                                     .events = events,
                                     .our_session = "imp_1",
                                     .account_id = ACCOUNT};
    json_auto_t *verdict = verdict_of(&in);
    step_set_str(s, "verdict", json_str_at(verdict, "verdict"));
    step_set(s, "remains", undo_root_remains(s, before, after, events));
    return STEP_DONE;
}
static const struct step_def judging = {.name = "judging", .run = judge, .runs_in_undo = true, .version = 1};

#define ROOT(mfa, keys, devices) "{\"mfa\":" mfa ",\"access_keys\":" keys ",\"devices\":[" devices "]}"
#define OWN "\"" MFA "own\""
#define OTHER "\"" MFA "other\""
#define OPERATORS "\"" MFA "operator-security\""
#define EVENT(name, serial, ms)                                                                                        \
    "{\"id\":\"" name serial "\",\"name\":\"" name "\",\"source\":\"iam.amazonaws.com\",\"user_type\":\"Root\","       \
    "\"user\":\"arn:aws:iam::" ACCOUNT ":root\",\"at_ms\":" ms ",\"request\":{\"serialNumber\":\"" serial "\"}}"

static const struct {
    const char *name, *before, *after, *seen; /* seen: the root user as root_mfa_handover's undo left it */
    const char *events, *verdict, *listed, *said;
} cases[] = {
    {"as before", ROOT("true", "false", OWN), ROOT("true", "false", OWN), ROOT("true", "false", OWN), "", "PROVEN", "",
     ""},
    {"the customer has another device now", ROOT("true", "false", OWN), ROOT("true", "false", OTHER),
     ROOT("true", "false", OTHER), "", "PROVEN", MFA "other " MFA "own", "keep it if it is yours"},
    {"an operator's device that was there at the last look", ROOT("true", "false", OWN),
     ROOT("true", "false", OWN "," OPERATORS), ROOT("true", "false", OWN "," OPERATORS), "", "PROVEN",
     MFA "operator-security", "the operator's second factor"},
    {"an operator's device that came after the last look", ROOT("true", "false", OWN),
     ROOT("true", "false", OWN "," OPERATORS), ROOT("true", "false", OWN),
     EVENT("EnableMFADevice", MFA "operator-security", "1800000009000"), "PROVEN+FOREIGN", MFA "operator-security",
     "remove it"},
    {"the same, and no event tells who", ROOT("true", "false", OWN), ROOT("true", "false", OWN "," OPERATORS),
     ROOT("true", "false", OWN), "", "UNEXPLAINED", MFA "operator-security", "remove it"},
    {"the same, where no step looked at devices", ROOT("true", "false", OWN), ROOT("true", "false", OWN "," OTHER),
     NULL, "", "UNEXPLAINED", MFA "other", "keep it if it is yours"},
    {"a key of the operator's, which no list shows", ROOT("true", "false", OWN), ROOT("true", "false", OWN),
     ROOT("true", "false", OWN), EVENT("EnableMFADevice", KEY, "1800000002000"), "PROVEN", KEY, "keep it if"},
    {"such a key that went again", ROOT("true", "false", OWN), ROOT("true", "false", OWN), ROOT("true", "false", OWN),
     EVENT("EnableMFADevice", KEY, "1800000002000") "," EVENT("DeactivateMFADevice", KEY, "1800000003000"), "PROVEN",
     "", ""},
    {"such a key that was there before", ROOT("true", "false", ""), ROOT("true", "false", ""),
     ROOT("true", "false", ""), EVENT("EnableMFADevice", KEY, "1799999990000"), "PROVEN", "", ""},
    {"a device of the customer's that went after the last look", ROOT("true", "false", OWN "," OTHER),
     ROOT("true", "false", OWN), ROOT("true", "false", OPERATORS "," OWN),
     EVENT("DeactivateMFADevice", MFA "operator-security", "1800000009000"), "PROVEN+FOREIGN", MFA "other",
     "register it again"},
    {"a device whose event is older than the last look", ROOT("true", "false", OWN),
     ROOT("true", "false", OWN "," OTHER), ROOT("true", "false", OWN "," OPERATORS),
     EVENT("EnableMFADevice", MFA "other", "1800000002000"), "UNEXPLAINED", MFA "other", "keep it if"},
    {"access keys", ROOT("true", "false", OWN), ROOT("true", "true", OWN), ROOT("true", "true", OWN), "", "UNEXPLAINED",
     "access keys", "delete them"},
    {"no second factor any more", ROOT("true", "false", OWN), ROOT("false", "false", ""), ROOT("false", "false", ""),
     "", "UNEXPLAINED", MFA "own", "register one at once"},
};

static void what_differs_on_the_root_user_is_listed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].name);
        struct fake_host h = {.now_ms = TAKEN_MS + 60000};
        h.import = parsed("{\"id\":\"imp_1\",\"vars\":{\"account_id\":\"" ACCOUNT "\"}}");
        h.results = json_make("{s:{s:I,s:o},s:{s:[s]}}", "fingerprint_before", "began_ms", (json_int_t)TAKEN_MS,
                              "fingerprint", fingerprint(cases[i].before, TAKEN_MS), "root_mfa_handover",
                              "operator_devices", MFA "operator-security");
        h.undone = json_object();
        if (cases[i].seen)
            json_put(
                h.undone, "root_mfa_handover",
                json_make("{s:o,s:I}", "root", parsed(cases[i].seen), "root_seen_ms", (json_int_t)TAKEN_MS + 5000));
        json_auto_t *now = fingerprint(cases[i].after, TAKEN_MS + 30000);
        AUTO_FREE char *list = mem_printf("[%s]", cases[i].events);
        json_auto_t *told = parsed(list);
        after = now;
        events = told;
        fake_run(&h, &judging);
        assert_int_equal(h.outcome, STEP_ENDED_DONE);
        assert_string_equal(json_str_at(h.result, "verdict"), cases[i].verdict);
        json_t *remains = json_object_get(h.result, "remains");
        AUTO_FREE char *shown = json_text(remains);
        AUTO_FREE char *names = mem_dup(cases[i].listed);
        for (char *rest = names, *name; (name = strtok_r(rest, " ", &rest));)
            assert_non_null(strstr(shown, name));
        assert_non_null(strstr(shown, cases[i].said));
        assert_int_equal(json_array_size(remains) > 0, *cases[i].listed != 0);
        assert_true(!json_array_size(remains) || *json_str_at(remains, "0.command"));
        fake_done(&h);
    }
}

/* A remainder of another step cannot let the root user pass as a whole. */
static void no_remainder_lets_root_pass(void **state)
{
    (void)state;
    struct fake_host h = {.now_ms = TAKEN_MS + 60000};
    h.import = parsed("{\"id\":\"imp_1\",\"vars\":{\"account_id\":\"" ACCOUNT "\"}}");
    h.results =
        json_make("{s:{s:o}}", "fingerprint_before", "fingerprint", fingerprint(ROOT("true", "false", OWN), TAKEN_MS));
    h.undone = parsed("{\"root_email\":{\"remains\":[{\"what\":\"w\",\"owner\":\"customer\",\"command\":\"c\",\"in\":[{"
                      "\"section\":\"iam.account\",\"key\":\"root\"}]}]}}");
    json_auto_t *now = fingerprint(ROOT("false", "true", ""), TAKEN_MS + 30000), *none = json_array();
    after = now;
    events = none;
    fake_run(&h, &judging);
    assert_string_equal(json_str_at(h.result, "verdict"), "UNEXPLAINED");
    fake_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_differs_on_the_root_user_is_listed),
        cmocka_unit_test(no_remainder_lets_root_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* FAQ: the access that was handed over ends.   Undo: none: the customer hands over
 * anew, and what was handed over for an undo ends the same way.
 *
 * The only writes after the last fingerprint, listed as closing writes. A key signs its own end, so exactly one call is
 * possible: deleted where that was agreed, else deactivated, which the customer can take back. After it nothing of ours
 * can sign, so what is left (an inert user, or the role of the role route) is listed with the command for its owner:
 * AWS deletes no user that still has keys, and without keys nobody of ours is left to delete it. The proof is the dead
 * key's own answer. A worker that starts anew learns it from the identity check. */
#include "common/aws/services/iam.h"
#include "common/aws/services/sts.h"
#include "worker/steps/ownership.h"
#include "worker/steps/undo_scope.h"

#define DEAD_EVERY_MS 2000
#define DEAD_DEADLINE_MS 120000

static const char *handed_over(const struct step *s, const char *what)
{
    return json_str_at(undo_access(s), what);
}

static bool is_dead(const json_t *facts, const json_t *arg)
{
    (void)arg;
    return json_is_null(facts);
}

static bool is_deleting(const struct step *s)
{
    return json_bool_at(step_import(s), "vars.retire.delete_user");
}

/* The key of access_handover when another took its place meanwhile: nobody of ours retires it, so its owner is told. */
static void leave_first_key(struct step *s, json_t *list, const char *key_id)
{
    const char *user = handed_over(s, "user"), *first = handed_over(s, "access_key_id");
    if (!*first || str_eq(first, key_id))
        return;
    ownership_remains(
        list, step_text(s, "access key %s of IAM user %s, handed over first and replaced since", first, user),
        "customer", step_text(s, "aws iam delete-access-key --user-name %s --access-key-id %s", user, first));
}

static void leave_user(struct step *s, const char *user, const char *key_id)
{
    json_t *list = json_array();
    leave_first_key(s, list, key_id);
    ownership_remains(list, step_text(s, "IAM user %s, with its policies and no working key of ours", user), "customer",
                      step_text(s,
                                "aws iam detach-user-policy --user-name %s --policy-arn "
                                "arn:aws:iam::aws:policy/AdministratorAccess && aws iam delete-user --user-name %s",
                                user, user));
    step_set(s, "remains", list);
}

/* Only in an undo: no import goes past admin_access without the right to end its own key. A key that may not end itself
 * would else hold up the undo of an import that failed for that very reason. It is alive, and its owner is told. */
static enum step_result leave_living_key(struct step *s, const char *user, const char *key_id)
{
    json_t *list = json_array();
    leave_first_key(s, list, key_id);
    ownership_remains(
        list, step_text(s, "access key %s of IAM user %s: alive, and not allowed to end itself", key_id, user),
        "customer", step_text(s, "aws iam delete-access-key --user-name %s --access-key-id %s", user, key_id));
    step_set(s, "remains", list);
    step_set(s, "closing", json_array());
    step_set_str(s, "access_key_id", key_id);
    step_set_str(s, "key", "alive: left to its owner");
    step_grade(s, "probed");
    return STEP_DONE;
}

/* The journal's name for the call: a newer key has one of its own, or the first key's end would be taken for its. */
static const char *retire_key_name(struct step *s, const char *key_id)
{
    return str_eq(key_id, handed_over(s, "access_key_id")) ? "retire" : step_text(s, "retire/%s", key_id);
}

/* The key may belong to another user than the first one did; AWS names it as long as the key lives. */
static const char *user_of(struct step *s, const json_t *me)
{
    const char *arn = json_str_at(me, "arn"), *slash = strrchr(arn, '/');
    return strstr(arn, ":user/") && slash ? slash + 1 : handed_over(s, "user");
}

/* That we asked for the end of this key: kept beside the call itself, whose last answer may be that the key is dead,
 * and a refusal leaves nothing in the journal. */
static bool has_begun(struct step *s, const char *key_id)
{
    return *key_id && (step_journal_facts(s, retire_key_name(s, key_id)) ||
                       str_eq(json_string_value(step_noted(s, "retiring")), key_id));
}

static const char *how_it_died(struct step *s, const char *key_id, bool did_it)
{
    if (did_it)
        return is_deleting(s) ? "deleted" : "deactivated";
    return has_begun(s, key_id) ? "dead after we asked for its end" : "dead before we retired it";
}

static enum step_result finish(struct step *s, const char *user, const char *key_id)
{
    bool did_it = step_journal_facts(s, retire_key_name(s, key_id)) != NULL;
    json_t *closing = json_array();
    if (did_it)
        (void)json_array_append_new(closing, json_make("{s:s,s:s}", "op",
                                                       is_deleting(s) ? "iam:DeleteAccessKey" : "iam:UpdateAccessKey",
                                                       "resource", step_text(s, "%s/%s", user, key_id)));
    step_set(s, "closing", closing);
    step_set(s, "proof", json_make("{s:s,s:s}", "op", "sts:GetCallerIdentity", "answer", "InvalidClientTokenId"));
    step_set_str(s, "access_key_id", key_id);
    step_set_str(s, "key", how_it_died(s, key_id, did_it));
    leave_user(s, user, key_id);
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result retire_key(struct step *s)
{
    const json_t *me = NULL, *alive = NULL, *answer = NULL;
    TRY(step_identity(s, &me));
    const char *first = handed_over(s, "access_key_id"), *key_id = json_str_or(me, "access_key_id", first);
    const char *user = user_of(s, me), *call = retire_key_name(s, key_id);
    bool is_begun = has_begun(s, key_id);
    /* Dead is what AWS itself says of this very key, the first one or one that we began to retire. A key that cannot be
     * opened, signed with or found is not dead (P8). */
    bool is_known = *first && str_eq(json_str_at(me, "access_key_id"), key_id) && (str_eq(key_id, first) || is_begun);
    if (!json_bool_at(me, "ok") && str_ends(json_str_at(me, "origin"), " InvalidClientTokenId") && is_known)
        return finish(s, user, key_id);
    if (!json_bool_at(me, "ok"))
        return step_fail(s, err_code_by_name(json_str_or(me, "code", "aws.credentials")), "%s",
                         json_str_at(me, "text"));
    if (!*user || !*key_id)
        return step_fail(s, ERR_INTERNAL, "it is not recorded which user and key were handed over");
    if (is_begun) { /* maybe done: a dead key must not be asked for anything else */
        TRY(step_call(s, "alive", &sts_get_caller_identity_retired, NULL, &alive));
        if (json_is_null(alive))
            return finish(s, user, key_id);
    }
    json_t *args = json_make("{s:s,s:s}", "UserName", user, "AccessKeyId", key_id);
    if (!is_deleting(s))
        json_put_str(args, "Status", "Inactive");
    step_note(s, "retiring", json_string(key_id));
    /* Refused with the key's own death: an earlier sending of the same call, whose answer was lost, was taken. */
    TRY(step_try(s, call, is_deleting(s) ? &iam_delete_access_key : &iam_update_access_key, args,
                 step_is_undo(s) ? "InvalidClientTokenId,AccessDenied" : "InvalidClientTokenId", &answer));
    if (str_eq(json_str_at(answer, "error"), "AccessDenied"))
        return leave_living_key(s, user, key_id);
    TRY(step_poll(s, "dead", &sts_get_caller_identity_retired, NULL, is_dead, NULL, DEAD_EVERY_MS, DEAD_DEADLINE_MS,
                  ERR_CREDENTIAL_ALIVE, &alive));
    return finish(s, user, key_id);
}

static enum step_result leave_role(struct step *s)
{
    const char *arn = json_str_at(step_import(s), "access.role_arn"), *slash = strrchr(arn, '/');
    const char *name = slash ? slash + 1 : step_var(s, "bootstrap_role");
    json_t *list = json_array();
    ownership_remains(
        list, step_text(s, "role %s, through which we worked; we hold no credential of it any more", name), "customer",
        step_text(s,
                  "aws iam detach-role-policy --role-name %s --policy-arn "
                  "arn:aws:iam::aws:policy/AdministratorAccess && aws iam delete-role --role-name %s",
                  name, name));
    step_set(s, "closing", json_array());
    step_set(s, "remains", list);
    step_set_str(s, "key", "none was handed over");
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    if (undo_has_nothing(s) && str_eq(handed_over(s, "method"), "none"))
        return STEP_DONE; /* no access works, and nobody was asked for one */
    return str_eq(json_str_at(step_import(s), "access.method"), "role") ? leave_role(s) : retire_key(s);
}

const struct step_def step_credential_retire = {
    .name = "credential_retire",
    .item = "FAQ",
    .run = run,
    .runs_in_undo = true,
    .ops = OPS(&sts_get_caller_identity_retired, &iam_update_access_key, &iam_delete_access_key),
    .uses = "access_handover",
    .version = 1,
};

/* Lines become sentences; see ledger_story.h. */
#include "common/proof/ledger_story.h"

#define LOOSE(p) ((json_t *)(uintptr_t)(p))
#define TEXT_BYTES_MAX 8192
#define VALUE_BYTES_MAX 120
#define VALUES_MAX 4
#define READS_NAMED_MAX 6

/* The intent that a line answers, for its arguments. */
static const json_t *intent_of(const json_t *lines, size_t at)
{
    const json_t *answer = json_array_get(lines, at);
    for (size_t i = at; i > 0; i--) {
        const json_t *line = json_array_get(lines, i - 1);
        if (str_eq(json_str_at(line, "kind"), "intent") &&
            str_eq(json_str_at(line, "step"), json_str_at(answer, "step")) &&
            str_eq(json_str_at(line, "key"), json_str_at(answer, "key")))
            return line;
    }
    return NULL;
}

static bool is_answered(const json_t *lines, size_t at)
{
    const json_t *intent = json_array_get(lines, at);
    for (size_t i = at + 1; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        if (str_eq(json_str_at(line, "step"), json_str_at(intent, "step")) &&
            str_eq(json_str_at(line, "key"), json_str_at(intent, "key")) &&
            str_in_list("answer,intent", json_str_at(line, "kind")))
            return str_eq(json_str_at(line, "kind"), "answer");
    }
    return false;
}

/* "RoleName doitintl_cmp, PolicyName billing": short arguments, as far as they name what was written. */
static void add_arguments(struct str *out, const json_t *with)
{
    const char *name = NULL;
    json_t *value = NULL;
    size_t count = 0;
    if (json_has(with, "digest") && json_has(with, "bytes"))
        return; /* too large to stand there */
    json_object_foreach (LOOSE(with), name, value) {
        const char *text = json_string_value(value);
        if (!text || !*text || strlen(text) > VALUE_BYTES_MAX || count == VALUES_MAX)
            continue;
        str_addf(out, "%s%s %s", count++ ? ", " : " (", name, text);
    }
    if (count)
        str_add_char(out, ')');
}

static void tell_answer(const json_t *line, const json_t *with, struct str *out)
{
    const char *op = json_str_at(line, "op"), *aws = json_str_at(line, "result.aws");
    if (str_eq(op, "runtime:mail")) {
        str_add(out, json_has(line, "result.error") ? "could not send a mail" : "sent a mail");
        return;
    }
    if (json_has(line, "result.settled")) {
        str_addf(out, "looked, because an answer was missing: %s had taken effect", op);
    } else if (str_eq(json_str_at(line, "result.applied"), "no")) {
        str_addf(out, "AWS refused %s: %s", op, *aws ? aws : json_str_at(line, "result.error"));
    } else if (json_has(line, "result.applied")) {
        str_addf(out, "sent %s, and its answer was lost", op);
    } else {
        str_addf(out, "wrote %s", op);
    }
    add_arguments(out, with);
    if (*json_str_at(line, "as"))
        str_addf(out, ", in the account of the %s", json_str_at(line, "as"));
}

/* A walk of many reads is told by service. */
static void add_services(const json_t *reads, struct str *out)
{
    size_t i = 0, count = json_array_size(reads);
    while (i < count) {
        const char *op = json_str_at(json_array_get(reads, i), "op");
        size_t len = strcspn(op, ":"), kinds = 0;
        json_int_t calls = 0;
        str_addf(out, "%s%.*s", i ? ", " : "", (int)len, op);
        for (; i < count && strncmp(json_str_at(json_array_get(reads, i), "op"), op, len + 1) == 0; i++, kinds++)
            calls += json_int_at(json_array_get(reads, i), "count");
        str_addf(out, " %lld", (long long)calls);
        if (!kinds) /* cannot be read: go on all the same */
            i++;
    }
}

static void tell_reads(const json_t *line, struct str *out)
{
    const json_t *reads = json_object_get(line, "result");
    size_t i = 0, total = 0;
    json_t *one = NULL;
    json_array_foreach (LOOSE(reads), i, one)
        total += (size_t)json_int_at(one, "count");
    str_add(out, "looked at ");
    if (json_array_size(reads) > READS_NAMED_MAX)
        add_services(reads, out);
    for (i = 0; json_array_size(reads) <= READS_NAMED_MAX && i < json_array_size(reads); i++) {
        one = json_array_get(reads, i);
        str_addf(out, "%s%s", i ? ", " : "", json_str_at(one, "op"));
        if (json_int_at(one, "count") > 1)
            str_addf(out, " %lld times", (long long)json_int_at(one, "count"));
    }
    str_addf(out, " (%zu read%s)", total, total == 1 ? "" : "s");
}

static const char *grade_words(const char *grade)
{
    static const char *const words[][2] = {{"already", "it was so already"},
                                           {"probed", "seen at AWS"},
                                           {"cloudtrail", "seen in CloudTrail"},
                                           {"attested", "attested by a person"},
                                           {"attested+second_person", "attested by two people"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i][0], grade))
            return words[i][1];
    return grade;
}

static bool tell_outcome(const json_t *line, struct str *out)
{
    const char *outcome = json_str_at(line, "result.outcome"), *code = json_str_at(line, "result.code");
    switch (*outcome) {
    case 'D':
        str_addf(out, "%s: %s", json_bool_at(line, "undo") ? "taken back" : "done",
                 grade_words(json_str_at(line, "result.grade")));
        return true;
    case 'R':
        str_addf(out, "will be tried again: %s", code);
        return true;
    case 'F':
        str_addf(out, "failed: %s", code);
        return true;
    case 'W':
        str_add(out, *code ? "waits: " : "waits for somebody");
        str_add(out, code);
        return true;
    case 'H':
        str_addf(out, "is held until somebody decides: %s", code);
        return true;
    default:
        return false; /* looks again later */
    }
}

static void tell_rollback(const json_t *line, struct str *out)
{
    str_addf(
        out,
        "a failover lost lines %lld to %lld of this step (the last was %.12s..); Redis went back to line %lld, and "
        "the step looked at AWS again",
        (long long)json_int_at(line, "result.kept_n") + 1, (long long)json_int_at(line, "result.lost_n"),
        json_str_at(line, "result.lost_hash"), (long long)json_int_at(line, "result.kept_n"));
}

static void tell_person(const json_t *line, struct str *out)
{
    const char *what = json_str_at(line, "what"), *reason = json_str_at(line, "reason"),
               *note = json_str_at(line, "note"), *second = json_str_at(line, "second_person");
    static const char *const words[][2] = {
        {"done", "says that it is done"},  {"reject", "rejected the task"},   {"accept", "accepted and lets it go on"},
        {"redrive", "had it tried again"}, {"retry", "had it tried again"},   {"cancel", "cancelled the import"},
        {"pause", "paused the import"},    {"resume", "let the import go on"}};
    const char *told = what;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i][0], what))
            told = words[i][1];
    str_add(out, told);
    if (*second)
        str_addf(out, ", with %s", second);
    if (*reason)
        str_addf(out, ": %s", reason);
    if (*note)
        str_addf(out, ": %s", note);
}

/* False: nothing to tell. */
static bool tell(const json_t *lines, size_t at, struct str *out)
{
    const json_t *line = json_array_get(lines, at);
    const char *kind = json_str_at(line, "kind");
    bool is_person = !*json_str_at(line, "step");
    if (str_eq(kind, "answer")) {
        const json_t *intent = intent_of(lines, at);
        tell_answer(line, json_object_get(intent, "with"), out);
    } else if (str_eq(kind, "intent") && !is_answered(lines, at)) {
        str_addf(out, "was about to write %s; nothing more was recorded of it", json_str_at(line, "op"));
        add_arguments(out, json_object_get(line, "with"));
    } else if (str_eq(kind, "reads")) {
        tell_reads(line, out);
    } else if (str_eq(kind, "task")) {
        str_addf(out, "asked for: %s", json_str_at(line, "result.title"));
    } else if (str_eq(kind, "rollback")) {
        tell_rollback(line, out);
    } else if (str_eq(kind, "root")) {
        str_addf(out, "handed the root %.16s.. to %s", json_str_at(line, "root"), json_str_at(line, "to"));
    } else if (str_eq(kind, "outcome")) {
        return tell_outcome(line, out);
    } else if (is_person) {
        tell_person(line, out);
    } else {
        return false;
    }
    return true;
}

static const char *step_told(const json_t *line, const json_t *steps)
{
    const json_t *target = json_object_get(line, "target");
    const char *step = json_str_at(line, "step"), *named = json_str_at(line, "step_name");
    if (*step)
        return step;
    const char *by_index = json_is_integer(target) && json_integer_value(target) >= 0
                               ? json_string_value(json_array_get(steps, (size_t)json_integer_value(target)))
                               : NULL;
    return by_index ? by_index : named;
}

json_t *ledger_story(const json_t *lines, const json_t *steps)
{
    json_t *story = json_array();
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        AUTO_STR struct str text;
        str_init(&text, TEXT_BYTES_MAX);
        if (!tell(lines, i, &text))
            continue;
        bool is_answer = str_eq(json_str_at(line, "kind"), "answer"), is_person = !*json_str_at(line, "step");
        json_t *said = json_string(text.data);
        json_t *one =
            json_make("{s:I,s:s,s:s,s:o,s:s,s:b,s:s,s:s}", "at_ms", (json_int_t)json_int_at(line, "at_ms"), "step",
                      step_told(line, steps), "kind", json_str_at(line, "kind"), "text", said ? said : json_string(""),
                      "who", is_person ? json_str_or(line, "by", "somebody") : "orgimport", "is_write",
                      (int)(is_answer && !str_starts(json_str_at(line, "op"), "runtime:")), "request_id",
                      json_str_at(line, "request_id"), "op", json_str_at(line, "op"));
        const json_t *intent = is_answer ? intent_of(lines, i) : NULL;
        if (json_object_get(intent, "with"))
            json_put(one, "with", json_deep_copy(json_object_get(intent, "with")));
        (void)json_array_append_new(story, one);
    }
    return story;
}

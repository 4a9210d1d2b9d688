/* Faults by flag or at run time: each request draws at most one. A fault can be aimed ("only": "iam:CreateRole") and
 * counted
 * ("count": 1), which is how a test fails exactly the call it means. */
#include "sim_core.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[SIM_FAULTS] = {
    [SIM_NO_FAULT] = "none", [SIM_THROTTLE] = "throttle", [SIM_BEFORE] = "before", [SIM_AFTER] = "after",
    [SIM_DROP] = "drop",     [SIM_RESET] = "reset",       [SIM_SLOW] = "slow",     [SIM_LATE] = "late",
};

static struct {
    double share[SIM_FAULTS];
    uint32_t latency_ms, late_ms;
    char only[512]; /* "" or a comma list of service:Action, service:* */
    int64_t count;  /* how many faults are left; -1 without end */
} faults = {.late_ms = 2000, .count = -1};

static uint64_t random_faults = 0x2545f4914f6cdd1du;

/* A stream of its own: faults must not change which worlds a seed makes. */
static double draw(void)
{
    random_faults ^= random_faults << 13;
    random_faults ^= random_faults >> 7;
    random_faults ^= random_faults << 17;
    return (double)(random_faults >> 11) / 9007199254740992.0;
}

static void clear(void)
{
    memset(faults.share, 0, sizeof faults.share);
    faults.only[0] = '\0';
    faults.count = -1;
}

static void preset(double scale)
{
    clear();
    faults.share[SIM_THROTTLE] = 0.04 * scale;
    faults.share[SIM_BEFORE] = 0.02 * scale;
    faults.share[SIM_AFTER] = 0.015 * scale;
    faults.share[SIM_DROP] = 0.015 * scale;
    faults.share[SIM_RESET] = 0.015 * scale;
    faults.share[SIM_SLOW] = 0.01 * scale;
    faults.share[SIM_LATE] = 0.002 * scale;
}

static bool set_one(const char *name, double value)
{
    if (strcmp(name, "latency_ms") == 0) {
        faults.latency_ms = (uint32_t)value;
        return true;
    }
    if (strcmp(name, "late_ms") == 0) {
        faults.late_ms = (uint32_t)value;
        return true;
    }
    if (strcmp(name, "count") == 0) {
        faults.count = (int64_t)value;
        return true;
    }
    for (int i = SIM_THROTTLE; i < SIM_FAULTS; i++)
        if (strcmp(names[i], name) == 0 && value >= 0 && value <= 1) {
            faults.share[i] = value;
            return true;
        }
    return false;
}

bool sim_faults_set(const char *text)
{
    if (strcmp(text, "none") == 0) {
        clear();
        return true;
    }
    if (strcmp(text, "light") == 0 || strcmp(text, "heavy") == 0) {
        preset(text[0] == 'l' ? 1.0 : 3.0);
        return true;
    }
    bool ok = true;
    for (const char *at = text; *at && ok;) {
        char name[32];
        size_t pair = strcspn(at, ","), bytes = strcspn(at, "=,");
        char *end = NULL;
        double value = bytes < pair ? strtod(at + bytes + 1, &end) : 0;
        ok = bytes < sizeof name && end == at + pair;
        if (ok) {
            (void)snprintf(name, sizeof name, "%.*s", (int)bytes, at);
            ok = set_one(name, value);
        }
        at += pair + (at[pair] == ',');
    }
    return ok;
}

bool sim_faults_set_json(const json_t *set, const char **ret_why)
{
    const char *preset_name = json_string_value(json_object_get(set, "preset"));
    clear(); /* what is not named is off: a test says all it wants */
    if (preset_name && !sim_faults_set(preset_name)) {
        *ret_why = "preset is none, light or heavy";
        return false;
    }
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)set, name, value) {
        if (strcmp(name, "preset") == 0)
            continue;
        if (strcmp(name, "only") == 0 && json_is_string(value)) {
            (void)snprintf(faults.only, sizeof faults.only, "%s", json_string_value(value));
        } else if (!json_is_number(value) || !set_one(name, json_number_value(value))) {
            *ret_why = "known: preset only count latency_ms late_ms throttle before after drop reset slow late (0..1)";
            return false;
        }
    }
    return true;
}

json_t *sim_faults_show(void)
{
    json_t *show = json_pack("{s:i, s:i, s:I, s:s}", "latency_ms", (int)faults.latency_ms, "late_ms",
                             (int)faults.late_ms, "count", (json_int_t)faults.count, "only", faults.only);
    json_t *served = json_object();
    for (int i = SIM_THROTTLE; i < SIM_FAULTS; i++) {
        json_object_set_new(show, names[i], json_real(faults.share[i]));
        json_object_set_new(served, names[i], json_integer((json_int_t)sim_counters.faults[i]));
    }
    json_object_set_new(show, "served", served);
    return show;
}

static bool is_aimed_at(const char *service, const char *action)
{
    if (!faults.only[0])
        return true;
    char name[160], all[64];
    (void)snprintf(name, sizeof name, "%s:%s", service, action);
    (void)snprintf(all, sizeof all, "%s:*", service);
    for (const char *at = faults.only; *at;) {
        size_t word = strcspn(at, ",");
        if ((strlen(name) == word && memcmp(at, name, word) == 0) ||
            (strlen(all) == word && memcmp(at, all, word) == 0))
            return true;
        at += word + (at[word] == ',');
    }
    return false;
}

enum sim_fault sim_fault_draw(const char *service, const char *action)
{
    if (faults.count == 0 || !is_aimed_at(service, action))
        return SIM_NO_FAULT;
    double at = draw();
    for (int i = SIM_THROTTLE; i < SIM_FAULTS; i++) {
        if (at < faults.share[i]) {
            if (faults.count > 0)
                faults.count--;
            sim_counters.faults[i]++;
            return (enum sim_fault)i;
        }
        at -= faults.share[i];
    }
    return SIM_NO_FAULT;
}

uint32_t sim_latency_ms(void)
{
    return faults.latency_ms;
}

uint32_t sim_late_ms(void)
{
    return faults.late_ms;
}

static void answer_throttle(struct sim_request *rq)
{
    bool organizations = strcmp(rq->service, "organizations") == 0;
    switch (sim_protocol_of(rq->service)) {
    case SIM_QUERY:
        sim_error(rq, 400, "Throttling", "Rate exceeded");
        break;
    case SIM_S3:
        sim_error(rq, 503, "SlowDown", "Please reduce your request rate.");
        break;
    case SIM_REST_JSON:
        sim_error(rq, 429, strcmp(rq->service, "account") == 0 ? "TooManyRequestsException" : "ThrottlingException",
                  "Rate exceeded");
        break;
    case SIM_JSON:
        sim_error(rq, organizations && !sim_trap("org_throttle_is_400") ? 429 : 400,
                  organizations ? "TooManyRequestsException" : "ThrottlingException", "%s",
                  organizations ? "AWS Organizations can't complete your request because another request is already in "
                                  "progress. Try again later."
                                : "Rate exceeded");
        break;
    }
}

static void answer_failure(struct sim_request *rq)
{
    switch (sim_protocol_of(rq->service)) {
    case SIM_QUERY:
        sim_error(rq, 500, "ServiceFailure", "The request processing has failed because of an unknown error.");
        break;
    case SIM_S3:
        sim_error(rq, 500, "InternalError", "We encountered an internal error. Please try again.");
        break;
    case SIM_REST_JSON:
        sim_error(rq, 500, "InternalServerException", "An internal error has occurred.");
        break;
    case SIM_JSON:
        sim_error(rq, 500, strcmp(rq->service, "organizations") == 0 ? "ServiceException" : "InternalErrorException",
                  "An internal error has occurred.");
        break;
    }
}

void sim_fault_answer(struct sim_request *rq, enum sim_fault fault)
{
    rq->reply_header_count = 0;
    if (fault == SIM_THROTTLE)
        answer_throttle(rq);
    else
        answer_failure(rq);
}

/* orgimport-awssim: a simulated AWS on one port. Flags, worlds, then the loop. */
#include "sim_core.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

struct sim_options sim_options = {
    .listen = "127.0.0.1:0",
    .kinds = "all",
    .traps = "all",
    .orgs = 1,
    .seed = 1,
    .accounts_max = 12,
    .people_delay_ms = 100,
    .trail_retention_ms = 90ULL * 86400000,
};
struct sim_counters sim_counters;

static const char usage[] =
    "usage: orgimport-awssim [flags]: a simulated AWS with many organizations, faults and scripted people\n"
    "  --listen HOST:PORT           127.0.0.1:0 (0: any free port)\n"
    "  --address-file FILE          where to write http://HOST:PORT once it answers\n"
    "  --orgs N --seed S --kinds all|healthy|a,b --accounts-max N    the worlds; the same seed makes the same worlds\n"
    "  --recorded FILE              instead of these: organizations as they were recorded (worlds_load.c)\n"
    "  --latency-ms N               every answer waits\n"
    "  --faults none|light|heavy|throttle=0.1,before=,after=,drop=,reset=,slow=,late=    shares of requests\n"
    "  --traps all|none|a,b|-a,-b   wire traps of the real AWS (traps.def)\n"
    "  --signature-life-ms N        instead of 5 minutes (S3: 15)\n"
    "  --trail-retention-ms N       how long CloudTrail's LookupEvents knows an event; instead of 90 days\n"
    "  --effects FILE               effect log, JSON lines\n"
    "  --customers FILE --credentials FILE --operator-credentials FILE --worlds FILE    what a run needs to know\n"
    "  --allow-admin-from-anywhere    /_sim/ answers other machines too (containers); default: loopback only\n"
    "  --people URL --people-token-file FILE --people-delay-ms N    customer and operator who do a dispatcher's "
    "tasks\n";

enum flag {
    LISTEN = 1,
    ADDRESS_FILE,
    ORGS,
    SEED,
    KINDS,
    ACCOUNTS_MAX,
    LATENCY,
    FAULTS,
    TRAPS,
    SIGNATURE_LIFE,
    TRAIL_RETENTION,
    EFFECTS,
    CUSTOMERS,
    CREDENTIALS,
    OPERATOR_CREDENTIALS,
    WORLDS,
    RECORDED,
    PEOPLE,
    PEOPLE_TOKEN,
    PEOPLE_DELAY,
    ADMIN_ANYWHERE,
    HELP
};

static const struct option flags[] = {
    {"listen", 1, NULL, LISTEN},
    {"address-file", 1, NULL, ADDRESS_FILE},
    {"orgs", 1, NULL, ORGS},
    {"seed", 1, NULL, SEED},
    {"kinds", 1, NULL, KINDS},
    {"accounts-max", 1, NULL, ACCOUNTS_MAX},
    {"latency-ms", 1, NULL, LATENCY},
    {"faults", 1, NULL, FAULTS},
    {"traps", 1, NULL, TRAPS},
    {"signature-life-ms", 1, NULL, SIGNATURE_LIFE},
    {"trail-retention-ms", 1, NULL, TRAIL_RETENTION},
    {"effects", 1, NULL, EFFECTS},
    {"customers", 1, NULL, CUSTOMERS},
    {"credentials", 1, NULL, CREDENTIALS},
    {"operator-credentials", 1, NULL, OPERATOR_CREDENTIALS},
    {"worlds", 1, NULL, WORLDS},
    {"recorded", 1, NULL, RECORDED},
    {"people", 1, NULL, PEOPLE},
    {"people-token-file", 1, NULL, PEOPLE_TOKEN},
    {"people-delay-ms", 1, NULL, PEOPLE_DELAY},
    {"allow-admin-from-anywhere", 0, NULL, ADMIN_ANYWHERE},
    {"help", 0, NULL, HELP},
    {0},
};

static uint64_t number(const char *name, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-') {
        (void)fprintf(stderr, "awssim: --%s wants a number, not '%s'\n", name, text);
        exit(2);
    }
    return value;
}

static bool take_text(int flag, const char *text)
{
    const char **places[HELP + 1] = {
        [LISTEN] = &sim_options.listen,
        [ADDRESS_FILE] = &sim_options.address_file,
        [KINDS] = &sim_options.kinds,
        [TRAPS] = &sim_options.traps,
        [EFFECTS] = &sim_options.effects,
        [CUSTOMERS] = &sim_options.customers,
        [CREDENTIALS] = &sim_options.credentials,
        [OPERATOR_CREDENTIALS] = &sim_options.operator_credentials,
        [WORLDS] = &sim_options.worlds,
        [RECORDED] = &sim_options.recorded,
        [PEOPLE] = &sim_options.people,
        [PEOPLE_TOKEN] = &sim_options.people_token_file,
    };
    if (flag < LISTEN || flag > HELP || !places[flag])
        return false;
    *places[flag] = text;
    return true;
}

static void take_number(int flag, const char *name, const char *text)
{
    uint64_t value = number(name, text);
    char latency[48];
    if (flag == ORGS)
        sim_options.orgs = value;
    else if (flag == SEED)
        sim_options.seed = value;
    else if (flag == ACCOUNTS_MAX)
        sim_options.accounts_max = (uint32_t)value;
    else if (flag == SIGNATURE_LIFE)
        sim_options.signature_life_ms = value;
    else if (flag == TRAIL_RETENTION)
        sim_options.trail_retention_ms = value;
    else if (flag == PEOPLE_DELAY)
        sim_options.people_delay_ms = (uint32_t)value;
    else if (flag == LATENCY) {
        (void)snprintf(latency, sizeof latency, "latency_ms=%llu", (unsigned long long)value);
        sim_faults_set(latency);
    }
}

static void read_flags(int argc, char **argv)
{
    int flag, at = 0;
    while ((flag = getopt_long(argc, argv, "", flags, &at)) != -1) {
        if (flag == HELP) {
            (void)fputs(usage, stdout);
            exit(0);
        }
        if (flag == '?') {
            (void)fputs(usage, stderr);
            exit(2);
        }
        if (flag == ADMIN_ANYWHERE) {
            sim_options.admin_anywhere = true;
            continue;
        }
        if (flag == FAULTS && !sim_faults_set(optarg)) {
            (void)fprintf(stderr, "awssim: --faults does not understand '%s'\n", optarg);
            exit(2);
        }
        if (flag != FAULTS && !take_text(flag, optarg))
            take_number(flag, flags[at].name, optarg);
    }
    if (optind < argc) {
        (void)fprintf(stderr, "awssim: unexpected '%s'\n%s", argv[optind], usage);
        exit(2);
    }
}

static int write_address(const char *address)
{
    if (!sim_options.address_file)
        return 0;
    char temporary[512];
    (void)snprintf(temporary, sizeof temporary, "%s.new", sim_options.address_file);
    FILE *file = fopen(temporary, "we");
    if (!file || fprintf(file, "%s\n", address) < 0 || fclose(file) != 0)
        return -1;
    return rename(temporary, sim_options.address_file); /* whoever waits for the file never sees half of it */
}

int main(int argc, char **argv)
{
    char address[64];
    read_flags(argc, argv);
    sim_random_seed(sim_options.seed);
    sim_ops_index();
    sim_counters.started_ms = sim_real_ms();
    if (!sim_traps_set(sim_options.traps))
        return 2;
    if (sim_effects_open(sim_options.effects) != 0) {
        (void)fprintf(stderr, "awssim: cannot write %s: %s\n", sim_options.effects, strerror(errno));
        return 1;
    }
    int made = sim_options.recorded
                   ? sim_worlds_load(sim_options.recorded, sim_options.seed)
                   : sim_worlds_make(sim_options.kinds, sim_options.orgs, sim_options.accounts_max, sim_options.seed);
    if (made != 0 || sim_worlds_write(sim_options.customers, sim_options.credentials, sim_options.operator_credentials,
                                      sim_options.worlds) != 0)
        return 1;
    for (size_t i = 0; i < sim_world_count(); i++)
        sim_index_world(sim_world_at(i));
    if (sim_http_start(sim_options.listen, address) != 0 || write_address(address) != 0) {
        (void)fprintf(stderr, "awssim: cannot listen on %s: %s\n", sim_options.listen, strerror(errno));
        return 1;
    }
    printf("awssim: %zu organizations at %s\n", sim_options.orgs, address);
    (void)fflush(stdout);
    if (sim_options.people && sim_people_start(address, sim_options.people, sim_options.people_token_file,
                                               sim_options.people_delay_ms, sim_options.seed) != 0)
        return 1;
    sim_http_run();
    if (sim_options.people)
        sim_people_stop();
    sim_http_stop();
    return 0;
}

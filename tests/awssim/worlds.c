/* Worlds: every kind of organization, made from (kind, seed, index). The registry, the drawing of what differs, and the
 * operator's own three accounts; the parts are made in worlds_org.c, worlds_iam.c, worlds_billing.c, worlds_kinds.c. */
#include "worlds.h"
#include "sim_core.h"

#include <ctype.h>
#include <stdlib.h>

const struct sim_kind sim_kinds[] = {
#define KIND(name, access, mfa, state, step, code, finding, owner, verdict, what)                                      \
    {#name, what, access, mfa, state, step, code, finding, owner, verdict},
#include "worlds.def"
#undef KIND
};
const size_t sim_kind_count = sizeof sim_kinds / sizeof sim_kinds[0];

uint32_t sim_accounts_max;

static struct sim_world **worlds;
static size_t world_count, world_room;
static struct sim_map by_account;

/* ---- The registry
 * ------------------------------------------------------------------------------------------------------ */

size_t sim_world_count(void)
{
    return world_count;
}

struct sim_world *sim_world_at(size_t i)
{
    return i < world_count ? worlds[i] : NULL;
}

struct sim_world *sim_world_by_account(const char *account)
{
    return sim_map_get(&by_account, account);
}

void sim_world_register(struct sim_world *w)
{
    if (world_count == world_room) {
        world_room = world_room ? world_room * 2 : 64;
        worlds = realloc(worlds, world_room * sizeof(struct sim_world *));
        if (worlds == NULL)
            abort();
    }
    worlds[world_count++] = w;
    sim_map_put(&by_account, w->account, w);
    sim_index_world(w);
}

/* ---- Drawing
 * ----------------------------------------------------------------------------------------------------------- */

uint64_t make_random(struct make *m)
{
    m->random += 0x9e3779b97f4a7c15u;
    uint64_t z = m->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t make_below(struct make *m, uint64_t limit)
{
    return limit ? make_random(m) % limit : 0;
}

bool make_chance(struct make *m, unsigned percent)
{
    return make_below(m, 100) < percent;
}

static const char lower_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char upper_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void make_letters(struct make *m, bool upper, size_t count, char *ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = upper ? upper_letters[make_below(m, 32)] : lower_letters[make_below(m, 36)];
    ret[count] = '\0';
}

json_t *make_id(struct make *m, const char *prefix, size_t letters, bool upper)
{
    char text[64];
    make_letters(m, upper, letters < 60 ? letters : 60, text);
    return svc_textf("%s%s", prefix, text);
}

void make_key(struct make *m, const char *account, char ret_id[21], char ret_secret[41])
{
    uint64_t number = strtoull(account, NULL, 10);
    (void)snprintf(ret_id, 21, "AKIA");
    for (int i = 0; i < 8; i++)
        ret_id[4 + i] = upper_letters[(number >> (35 - 5 * i)) & 31];
    make_letters(m, true, 8, ret_id + 12);
    make_letters(m, false, 40, ret_secret);
    for (size_t i = 0; i < 40; i += 3)
        ret_secret[i] = (char)toupper((unsigned char)ret_secret[i]);
    ret_secret[7] = '/';
    ret_secret[23] = '+'; /* both need care in files and URLs */
}

json_t *make_time(uint64_t ms)
{
    char text[32];
    sim_rfc3339(ms, text);
    return json_string(text);
}

json_t *make_seconds(uint64_t ms)
{
    return json_integer((json_int_t)(ms / 1000));
}

/* A moment in the past, at a fixed place in time, so that a seed gives equal worlds on any day. */
uint64_t make_past(struct make *m, unsigned days_min, unsigned days_max)
{
    uint64_t days = days_min + make_below(m, days_max - days_min + 1);
    return 1780000000000u - days * 86400000u - make_below(m, 86400) * 1000;
}

void make_member_account(const struct make *m, unsigned n, char ret[13])
{
    /* Three digits count the members; beyond 999 the first digit of the number goes on. */
    unsigned long long base = strtoull(m->w->account, NULL, 10);
    (void)snprintf(ret, 13, "%012llu", (base + n % 1000 + n / 1000 * 100000000000u) % 1000000000000u);
}

json_t *make_section(struct make *m, const char *name)
{
    return sim_section(m->w, name);
}

json_t *make_map(struct make *m, const char *a, const char *b)
{
    json_t *section = sim_section(m->w, a);
    json_t *map = json_object_get(section, b);
    if (map == NULL) {
        map = json_object();
        json_object_set_new(section, b, map);
    }
    return map;
}

/* ---- The customer
 * ------------------------------------------------------------------------------------------------------ */

static const char *const company_names[] = {"Acme",     "Northwind",     "Globex",  "Initech", "Umbra",     "Contoso",
                                            "Fabrikam", "Tailspin",      "Wingtip", "Litware", "Proseware", "Adatum",
                                            "Zenith",   "Müller, Söhne", "Hooli",   "Vandelay"};
static const char *const company_forms[] = {"GmbH", "B.V.", "SAS", "AB", "S.L.", "S.r.l.", "sp. z o.o.", "Ltd"};
static const char *const company_countries[] = {"DE", "NL", "FR", "SE", "ES", "IT", "PL", "IE"};

static void make_names(struct make *m)
{
    const char *base = company_names[make_below(m, sizeof company_names / sizeof company_names[0])];
    size_t form = (size_t)make_below(m, sizeof company_forms / sizeof company_forms[0]);
    char slug[24];
    size_t at = 0;
    for (size_t i = 0; base[i] != '\0' && at < 10; i++)
        if (isalpha((unsigned char)base[i])) /* the locale is C: what is not ASCII falls out */
            slug[at++] = (char)tolower((unsigned char)base[i]);
    slug[at] = '\0';
    (void)snprintf(m->id, sizeof m->id, "%s%u", slug, m->index);
    (void)snprintf(m->name, sizeof m->name, "%s %s %u", base, company_forms[form], m->index % 100000);
    (void)snprintf(m->domain, sizeof m->domain, "%s%u.example", slug, m->index);
    (void)snprintf(m->country, sizeof m->country, "%s", company_countries[form]);
}

static void make_customer(struct make *m, uint64_t seed)
{
    json_t *customer = make_section(m, "customer");
    json_object_set_new(customer, "external_ref",
                        svc_textf("crm-%llu-%05u", (unsigned long long)(seed % 100000), m->index));
    json_object_set_new(customer, "name", json_string(m->name));
    json_object_set_new(customer, "domain", json_string(m->domain));
    json_object_set_new(customer, "country", json_string(m->country));
    json_object_set_new(customer, "access", json_string(m->role_access ? "role" : "key"));
    json_object_set_new(customer, "mfa_mode", json_string(m->classic ? "classic" : "overlap"));
    json_object_set_new(customer, "account", json_string(m->w->account));
    json_object_set_new(customer, "naming_id", json_string(m->id));
    json_object_set_new(customer, "roles", json_string("cmp;awsadmin"));
    json_object_set_new(customer, "region", json_string(make_chance(m, 25) ? "eu-west-1" : "us-east-1"));
    json_t *row = json_object();
    json_object_set_new(row, "contacts.cloud_admin.email", svc_textf("cloud@%s", m->domain));
    json_object_set_new(row, "labels.tier", json_string(make_chance(m, 30) ? "gold" : "standard"));
    json_object_set_new(customer, "row", row);
    m->gives_id = make_chance(m, 50);
    json_object_set_new(make_section(m, "timing"), "trail_ms", json_integer((json_int_t)(150 + make_below(m, 250))));
    json_object_set_new(make_section(m, "billing"), "iam_access", json_true());
}

/* What the customer hands over: a user with a key, or a name of a role that is made when the task asks for it. */
static void make_access(struct make *m)
{
    json_t *customer = make_section(m, "customer");
    if (m->role_access) {
        json_object_set_new(customer, "role_arn", svc_textf("arn:aws:iam::%s:role/OrgImportBootstrap", m->w->account));
        return;
    }
    char key_id[21], secret[41];
    json_t *user = make_user(m, make_section(m, "iam"), m->w->account, "doit-onboarding");
    json_array_append_new(json_object_get(user, "attached"),
                          json_string("arn:aws:iam::aws:policy/AdministratorAccess"));
    make_user_key(m, user, m->w->account, key_id, secret);
    json_object_set_new(customer, "access_key_id", json_string(key_id));
    json_object_set_new(customer, "secret_access_key", json_string(secret));
}

static const struct sim_kind *kind_by_name(const char *name)
{
    for (size_t i = 0; i < sim_kind_count; i++)
        if (svc_is(sim_kinds[i].name, name))
            return &sim_kinds[i];
    return NULL;
}

struct sim_world *sim_world_blank(const char *account, const struct sim_kind *kind, uint64_t seed)
{
    struct sim_world *w = calloc(1, sizeof *w);
    if (w == NULL)
        abort();
    (void)snprintf(w->account, sizeof w->account, "%s", account);
    w->kind = kind;
    w->seed = seed;
    w->state = json_object();
    return w;
}

/* ---- The operator's accounts
 * ------------------------------------------------------------------------------------------- */

#define PMA_ID "pma-doit000000001"

static void make_channel(struct make *m, const char *id)
{
    json_t *pma = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "revision", "1", "catalog", "AWS",
                            "program", "SOLUTION_PROVIDER", "displayName", "Example Reseller EMEA", "accountId",
                            m->w->account, "status", "ACTIVE");
    json_object_set_new(
        pma, "arn",
        svc_textf("arn:aws:partnercentral:us-east-1:%s:catalog/AWS/program-management-account/%s", m->w->account, id));
    json_object_set_new(pma, "createdAt", make_seconds(make_past(m, 400, 500)));
    json_object_set_new(pma, "startDate", make_seconds(make_past(m, 300, 400)));
    json_object_set_new(make_map(m, "channel", "pmas"), id, pma);
    make_map(m, "channel", "relationships");
    make_map(m, "channel", "tokens");
}

static struct sim_world *world_operator(const char *role, const char *account, const char *pma, uint64_t seed)
{
    struct sim_world *w = sim_world_blank(account, NULL, seed);
    struct make m = {.w = w, .state = w->state, .kind = role, .random = seed ^ strtoull(account, NULL, 10)};
    char key_id[21], secret[41];
    json_t *customer = make_section(&m, "customer");
    json_t *user = make_user(&m, make_section(&m, "iam"), account, "orgimport");
    json_array_append_new(json_object_get(user, "attached"),
                          json_string("arn:aws:iam::aws:policy/AdministratorAccess"));
    make_user_key(&m, user, account, key_id, secret);
    json_object_set_new(customer, "name", json_string(role));
    json_object_set_new(customer, "access_key_id", json_string(key_id));
    json_object_set_new(customer, "secret_access_key", json_string(secret));
    json_object_set_new(w->state, "root", json_pack("{s:[], s:{}, s:b}", "mfa_devices", "access_keys", "password", 1));
    if (svc_is(role, "partner"))
        make_channel(&m, pma);
    sim_world_register(w);
    return w;
}

/* Those that a record names; two of them may be one account, which then has the names of both. */
void sim_worlds_operator(const json_t *record, uint64_t seed)
{
    static const char *const roles[] = {"operator", "partner", "trusted"};
    for (size_t i = 0; i < 3; i++) {
        const char *account = svc_text(record, roles[i]), *pma = svc_text(record, "pma");
        struct sim_world *known = sim_world_by_account(account);
        struct make m = {.w = known, .state = known ? known->state : NULL};
        if (strlen(account) != 12)
            continue;
        if (known == NULL) {
            world_operator(roles[i], account, pma[0] ? pma : PMA_ID, seed);
            continue;
        }
        json_object_set_new(make_section(&m, "customer"), roles[i], json_true());
        if (svc_is(roles[i], "partner"))
            make_channel(&m, pma[0] ? pma : PMA_ID);
    }
}

/* ---- Making one, making all
 * -------------------------------------------------------------------------------------------- */

struct sim_world *sim_world_new(const char *kind_name, uint64_t seed, int index)
{
    static const char *const own[][2] = {
        {"operator", "999900000001"}, {"partner", "777788889999"}, {"trusted", "068664126052"}};
    for (size_t i = 0; i < 3; i++)
        if (svc_is(kind_name, own[i][0]))
            return world_operator(own[i][0], own[i][1], PMA_ID, seed);
    const struct sim_kind *kind = kind_by_name(kind_name);
    char account[13];
    /* Worlds made later count from 100,000: they get a first digit of their own. The last three digits are for members.
     */
    (void)snprintf(account, sizeof account, "%u%03u%05u000", 2 + (unsigned)index / 100000 % 6, (unsigned)(seed % 1000),
                   (unsigned)index % 100000);
    if (kind == NULL || index < 0 || sim_world_by_account(account) != NULL)
        return NULL;
    struct sim_world *w = sim_world_blank(account, kind, seed);
    struct make m = {.w = w,
                     .state = w->state,
                     .kind = kind->name,
                     .index = (unsigned)index,
                     .random = seed * 1000003u + (unsigned)index};
    m.role_access = svc_is(kind->access, "role") || (svc_is(kind->access, "any") && make_chance(&m, 50));
    m.classic = svc_is(kind->mfa, "classic") || (svc_is(kind->mfa, "any") && make_chance(&m, 33));
    m.members = make_size(&m);
    m.founded_ms = make_past(&m, 300, 2500);
    make_names(&m);
    make_customer(&m, seed);
    make_organization(&m);
    make_iam(&m);
    make_access(&m);
    make_billing(&m);
    make_twist(&m);
    if (m.gives_id)
        json_object_set_new(make_section(&m, "customer"), "id", json_string(m.id));
    sim_world_register(w);
    return w;
}

/* Kinds that take part, by the --kinds word: "all" or a comma list. */
static bool kinds_chosen(const char *kinds, bool *chosen)
{
    bool all = svc_is(kinds, "all"), any = false;
    for (size_t i = 0; i < sim_kind_count; i++) {
        chosen[i] = all || svc_one_of(sim_kinds[i].name, kinds);
        any = any || chosen[i];
    }
    for (const char *at = kinds; !all && *at != '\0';) {
        char word[64];
        size_t bytes = strcspn(at, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)(bytes < 60 ? bytes : 60), at);
        if (kind_by_name(word) == NULL) {
            (void)fprintf(stderr, "orgimport-awssim: no kind of world is called %s; worlds.def lists them\n", word);
            return false;
        }
        at += bytes + (at[bytes] == ',');
    }
    return any;
}

int sim_worlds_make(const char *kinds, size_t orgs, uint32_t accounts_max, uint64_t seed)
{
    bool chosen[sizeof sim_kinds / sizeof sim_kinds[0]];
    size_t list[sizeof sim_kinds / sizeof sim_kinds[0]], count = 0;
    sim_accounts_max = accounts_max;
    if (!kinds_chosen(kinds, chosen))
        return -1;
    bool halves = svc_is(kinds, "all"); /* about half healthy, the others in turn */
    for (size_t i = 0; i < sim_kind_count; i++)
        if (chosen[i] && !(halves && svc_is(sim_kinds[i].name, "healthy")))
            list[count++] = i;
    sim_world_new("operator", seed, 0);
    sim_world_new("partner", seed, 0);
    sim_world_new("trusted", seed, 0);
    for (size_t i = 0; i < orgs; i++) {
        size_t turn = halves ? i / 2 + (size_t)(seed * 7) : i;
        const char *name = halves && i % 2 == 0 ? "healthy" : sim_kinds[list[turn % count]].name;
        if (sim_world_new(name, seed, (int)i + 1) == NULL) {
            (void)fprintf(stderr, "orgimport-awssim: more than 99,999 organizations are not possible\n");
            return -1;
        }
    }
    return 0;
}

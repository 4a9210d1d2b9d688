/* Making worlds: what worlds.c and its parts share. A world is built in order: organization, account, billing; then its
 * kind's twist changes what is odd about it. Everything drawn comes from (seed, index), never from the common stream,
 * so that a world is the same whatever was made before it. */
#pragma once

#include "svc.h"

struct make {
    struct sim_world *w;
    json_t *state; /* w->state */
    const char *kind;
    uint64_t random;
    unsigned index;
    unsigned members; /* accounts beside the management account */
    char id[21];      /* naming id of this customer */
    bool gives_id;    /* it stands in the CSV */
    bool role_access, classic;
    char name[64], domain[48], country[3];
    char org[16], root[8];
    uint64_t founded_ms;
};

extern const struct sim_kind sim_kind_recorded; /* worlds_load.c: of no line in worlds.def */
struct sim_world *sim_world_blank(const char *account, const struct sim_kind *kind, uint64_t seed);
void sim_world_register(struct sim_world *w);
void sim_worlds_operator(const json_t *record, uint64_t seed); /* operator's accounts as a record names them */

extern uint32_t sim_accounts_max; /* 0: not given */

uint64_t make_random(struct make *m);
uint64_t make_below(struct make *m, uint64_t limit);
bool make_chance(struct make *m, unsigned percent);
/* `count` characters of a-z0-9 (upper: A-Z2-7, as IAM's ids are). */
void make_letters(struct make *m, bool upper, size_t count, char *ret);
json_t *make_id(struct make *m, const char *prefix, size_t letters, bool upper); /* text */
void make_key(struct make *m, const char *account, char ret_id[21], char ret_secret[41]);
json_t *make_time(uint64_t ms);    /* ISO text */
json_t *make_seconds(uint64_t ms); /* number */
uint64_t make_past(struct make *m, unsigned days_min, unsigned days_max);
void make_member_account(const struct make *m, unsigned n, char ret[13]);
json_t *make_section(struct make *m, const char *name);
/* state->a->b, created as {} */
json_t *make_map(struct make *m, const char *a, const char *b);

/* worlds_org.c */
void make_organization(struct make *m);
void make_policy(struct make *m, const char *type, const char *name, const char *content, const char *const *targets);
void make_invitation(struct make *m, const char *email);
/* worlds_iam.c */
json_t *make_user(struct make *m, json_t *iam, const char *account,
                  const char *name); /* in that iam section; borrowed */
void make_user_key(struct make *m, json_t *user, const char *account, char ret_id[21], char ret_secret[41]);
json_t *make_role(struct make *m, const char *path, const char *name, const char *trust); /* borrowed */
void make_iam_policy(struct make *m, const char *name, const char *document);
void make_tag(json_t *owner, const char *list, const char *key, const char *value);
void make_iam(struct make *m);
/* worlds_billing.c */
json_t *make_bucket(struct make *m, const char *name, const char *region); /* borrowed */
void make_report(struct make *m, const char *name, const char *bucket, const char *region);
void make_tax(struct make *m, const char *account, const char *country, const char *status);
void make_billing(struct make *m);
/* worlds_kinds.c: false when the kind has no line */
void make_twist(struct make *m);
unsigned make_size(struct make *m);

/* What the files of the asynchronous client share. One struct redis has several connections ("links"):
 *
 *   single    main                                    sub (on first use)
 *   Sentinel  main, to whom the scout names           sub likewise        scout: listens to a Sentinel
 *   Cluster   one per primary, made on first use      sub, to any node    scout: asks some node for the map
 *
 * redis.c commands and their queue; redis_link.c one connection; redis_sub.c subscriptions; redis_scout.c who is who;
 * redis_cluster.c the map of slots and what MOVED and ASK mean. */
#pragma once

#include "common/redis/redis.h"
#include "common/redis/redis_slots.h"
#include "common/redis/redis_target.h"

#define BACKOFF_MS_BASE 50
#define BACKOFF_MS_MAX 2000
#define REDIRECTS_MAX 5
#define SILENT_TICKS_ASK 2 /* a node so long silent: who has its slots is asked for */

enum link_role { LINK_NODE, LINK_SUB, LINK_SCOUT };
enum link_state { LINK_DOWN, LINK_GREETING, LINK_UP };

struct link {
    struct redis *owner;
    struct link *next; /* of the primaries of a cluster */
    enum link_role role;
    struct redis_address at;
    redisAsyncContext *ac;
    uv_timer_t timer;
    enum link_state state;
    uint32_t failures;
    struct redis_command greeting[REDIS_GREETING_MAX];
    char db[16];
    size_t greeting_count, greeted;
    size_t in_flight;      /* answers that are due */
    uint32_t silent_ticks; /* of the watch, while answers were due and none came */
    bool is_known;         /* cluster: the newest map has it */
};

struct pending {
    struct redis *owner;
    redis_reply_fn *done;
    void *arg;
    struct pending *next; /* while queued */
    char *command;        /* kept until answered: it may have to go elsewhere, or again */
    size_t len;
    uint64_t queued_ms;
    uint64_t not_before_ms; /* refused a moment ago */
    char *refusal;          /* the words */
    unsigned route;
    uint32_t redirects;
    bool is_once;       /* a refusal is the caller's to deal with */
    struct link *asked; /* ASK: this once there, whatever the map says */
};

struct channel {
    struct channel *next;
    char *name;
    redis_message_fn *message;
    void *arg;
};

struct redis {
    uv_loop_t *loop;
    struct redis_target target;
    const struct env *env;
    void (*connected)(void *arg, bool is_up);
    void *arg;
    struct link main, sub, scout;
    struct link *nodes;  /* cluster: the primaries */
    struct link **slots; /* cluster: REDIS_SLOTS of them; NULL: nobody serves it, as far as we know */
    bool has_map;        /* cluster: and somebody answered when it was last asked for */
    bool has_master;     /* Sentinel: main.at is what a Sentinel said */
    size_t scout_turn, sub_turn;
    uv_timer_t watch, again;
    struct pending *first, **last;
    size_t pending_count;
    struct link *answering; /* whose reply is being handed out */
    struct channel *channels;
    bool is_closing;
    uint32_t refs; /* our own until closed, and redis_ref's */
    uint32_t handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- redis.c ---- */
void pending_answer(struct pending *p, const redisReply *reply);
/* On its way, or into the queue. */
void pending_send(struct pending *p);
/* Into the queue for a moment when the error proves that the command was not applied and may be taken soon (a slot on
 * the move, a primary that is none any more, a cluster without one); false: it is the caller's answer. */
bool pending_again(struct pending *p, const redisReply *error);
void queue_flush(struct redis *r);
/* Gives up what has waited too long for a connection. */
void queue_drop(struct redis *r, uint64_t age_ms);

/* ---- redis_link.c ---- */
void link_init(struct link *l, struct redis *r, enum link_role role);
void link_connect(struct link *l);       /* now */
void link_connect_later(struct link *l); /* with backoff and jitter */
bool link_is_idle(const struct link *l); /* neither connected nor about to be */
bool link_send(struct link *l, struct pending *p);
/* Ends the connection at once, what is due is answered with NULL; nothing is made again. */
void link_drop(struct link *l);
void link_closed(uv_handle_t *handle);
void link_watch(uv_timer_t *timer);

/* ---- redis_sub.c ---- */
void sub_restore(struct redis *r);
/* (Re)connects the subscriptions when there are some and the connection is idle. */
void sub_want(struct redis *r);

/* ---- redis_scout.c: for Sentinel and Cluster ---- */
void scout_ask(struct redis *r);  /* soon: who is master, or what is the map? */
bool scout_pick(struct redis *r); /* whom to ask, into scout.at */
void scout_up(struct redis *r);   /* the scout is greeted */
void scout_lost(struct redis *r);
void scout_failed(struct redis *r); /* answered nothing of use: the next one */

/* ---- redis_cluster.c ---- */
struct link *cluster_link(struct redis *r, unsigned route);
/* Takes CLUSTER SLOTS over; false when it is no map. */
bool cluster_take_map(struct redis *r, const redisReply *reply);
/* True when `p` was sent elsewhere: the error proves that it had no effect here. */
bool cluster_redirect(struct redis *r, const struct link *from, struct pending *p, const redisReply *error);
/* Some primary, another one with each turn; NULL before the map is known. */
struct link *cluster_any(const struct redis *r, size_t turn);

/* The private local fleet: redis-server on a unix socket with append-only persistence, one dispatcher on loopback, one
 * or more workers, all below a state folder. Stop it, start it again: it goes on.
 *
 * Invariant: the folder's lock is held while processes are started or stopped, so two command lines never start two
 * fleets. */
#pragma once

#include "dispatcher/cli/cli.h"

#include <sys/types.h>

#define LOCAL_WORKERS_MAX 16

struct local_fleet {
    char dir[512];
    char bin[512]; /* folder of our programs */
    bool is_simulated;
    char endpoint[128];    /* sim: URL of awssim */
    char credentials[600]; /* sim: operator's credentials file */
    char profile[600];     /* operator profile for the dispatcher; "" its own default */
    uint32_t workers;
    uint32_t poll_ms; /* 0: default */
    uint32_t settle_ms;
    uint32_t restarts; /* processes found dead and started again */
};

void local_fleet_init(struct local_fleet *fleet, const char *dir);
/* $XDG_STATE_HOME/orgimport or ~/.local/state/orgimport or --state-dir. */
void local_default_dir(const struct cli *cli, char ret[400]);
/* Starts what does not run; waits until the dispatcher answers. Safe to call again and again (supervision). */
NODISCARD int local_start(struct local_fleet *fleet, struct err *err);
/* SIGTERM in the right order (workers drain first), then waits. */
NODISCARD int local_stop(struct local_fleet *fleet, struct err *err);
/* The folder of a stopped fleet, with all that is in it; links are not followed. */
void local_remove(const struct local_fleet *fleet);
bool local_is_running(const struct local_fleet *fleet);
/* Fills url and token of `cli` from the fleet's files. */
NODISCARD int local_adopt(struct cli *cli, const struct local_fleet *fleet, struct err *err);
/* A token and an address in the fleet's folder before anything runs, so that scripted people know whom to ask. */
NODISCARD int local_prepare(struct cli *cli, const struct local_fleet *fleet, struct err *err);
/* local_start on the default folder, said on stderr, then local_adopt. ERR_NO_FLEET when none was ever started there
 * and the verb is none that begins one. */
NODISCARD int local_connect(struct cli *cli, struct err *err);

/* A process of ours: pid file DIR/NAME.pid, output DIR/NAME.log. */
NODISCARD int local_spawn(const struct local_fleet *fleet, const char *name, char *const argv[], struct err *err);
pid_t local_pid(const struct local_fleet *fleet, const char *name); /* 0: not running */
void local_terminate(const struct local_fleet *fleet, const char *name, uint32_t wait_ms);
/* Waits until a file of the fleet is there and not empty; its first line into `ret`. */
NODISCARD int local_wait_file(const struct local_fleet *fleet, const char *file, char *ret, size_t size,
                              uint32_t wait_ms, struct err *err);

#include "tests/integration/queue/life.h"

#include "common/base/mem.h"

static unsigned serial;

/* A fresh import; its id lives until the next two calls. */
const char *import_new(const char *shape)
{
    static char ids[4][IMPORT_ID_BYTES];
    char *id = ids[serial % 4], account[32], existing[IMPORT_ID_BYTES];
    struct dag dag = rig_dag(shape);
    (void)snprintf(id, IMPORT_ID_BYTES, "imp_00l%u", serial);
    (void)snprintf(account, sizeof account, "aws/%012u", serial++);
    CHECK_OK(rig_submit(id, account, &dag, NULL, existing));
    return id;
}

struct queue_held claim_one(uint64_t session, const char *id)
{
    struct rig_turn t;
    CHECK_OK(rig_turn(session, 1, NULL, 0, &t));
    CHECK(t.claim_count == 1 && str_eq(t.claims[0].import_id, id));
    return t.claims[0];
}

struct queue_held send_one(uint64_t session, struct queue_item it, enum queue_ack want)
{
    struct rig_turn t;
    CHECK_OK(rig_turn(session, 0, &it, 1, &t));
    CHECK(t.items[0].ack == want);
    return t.items[0];
}

char *chain_line(const char *step, int n, const char *prev, char hash[65])
{
    json_auto_t *line = json_make("{s:s, s:i, s:s, s:s}", "step", step, "n", n, "kind", "intent", "prev", prev);
    json_digest(line, hash);
    json_put_str(line, "hash", hash);
    AUTO_FREE char *text = json_text(line);
    return mem_printf("%s\n", text);
}

/* Ends an import so that it does not stand in the next test's way. */
void put_away(const char *id)
{
    struct record r = rig_record(id);
    if (r.remaining)
        CHECK_OK(rig_decide(queue_cancel, id));
    r = rig_record(id);
    for (unsigned i = 0; i < r.step_count; i++)
        if (r.steps[i].state == STATE_ACTIVE) {
            struct queue_held h = {.record = r};
            (void)snprintf(h.import_id, sizeof h.import_id, "%s", id);
            (void)send_one(r.session, rig_item(&h, i, OUTCOME_DONE), ACK_OK);
        }
    CHECK(rig_record(id).remaining == 0);
    rig_audit();
}

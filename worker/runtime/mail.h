/* Mail to people: in simulated fleets the simulator's mailbox, live an SMTP server (settings smtp-url, mail-from).
 * Without a server the answer is {"sent": false}: steps then believe a person's word, and say so in their grade. */
#pragma once

#include "common/codec/json.h"
#include "common/http/http_client.h"
#include "worker/runtime/later.h"

struct mail_job;
struct mail_options { /* texts are borrowed and live as long as the process */
    uv_loop_t *loop;
    struct later *later;
    struct http_client *http;
    bool is_simulated;
    const char *endpoints; /* simulated: as for the AWS client */
    const char *smtp_url;  /* smtp://user:password@host:587; "" none */
    const char *mail_from;
};
struct gate_mail {
    struct mail_options options;
};
/* facts {"sent":bool,"how":"smtp|simulator|none"}. Exactly once, later. */
typedef void mail_fn(void *arg, const json_t *facts, const struct err *err);
struct mail_job *mail_send(struct gate_mail *mail, const json_t *args, mail_fn *done, void *arg);
void mail_forget(struct mail_job *job); /* no callback afterwards; the mail may go out all the same */

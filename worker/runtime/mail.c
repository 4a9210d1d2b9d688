#include "worker/runtime/mail.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/codec/when.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define MAIL_BYTES_MAX (64u * 1024u)
#define MAIL_TIMEOUT_MS 30000

struct mail_job {
    struct gate_mail *mail;
    mail_fn *done; /* NULL: nobody waits any more */
    void *arg;
    struct http_call *http;
    struct later_item *later;
    uv_work_t work;
    char *to, *message;
    size_t read;
    CURLcode code;
    bool is_working; /* in the thread pool */
};

static void job_free(struct mail_job *job)
{
    mem_free(job->to);
    mem_free(job->message);
    mem_free(job);
}

static void finish(struct mail_job *job, bool was_sent, const char *how, const struct err *err)
{
    json_auto_t *facts = json_make("{s:b, s:s}", "sent", was_sent, "how", how);
    if (job->done)
        job->done(job->arg, err ? NULL : facts, err);
    job_free(job);
}

/* ---- Simulator ---- */
/* The one URL, or "*=URL" of a list. */
static char *simulator_url(const char *endpoints)
{
    AUTO_FREE char *copy = mem_dup(endpoints);
    char *rest = copy;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        const char *url = str_starts(word, "*=") ? word + 2 : strchr(word, '=') ? NULL : word;
        if (url && *url)
            return mem_printf("%s/_sim/mail", url);
    }
    return NULL;
}

static void simulator_answered(void *arg, const struct http_response *response, const struct err *err)
{
    struct mail_job *job = arg;
    struct err bad = {0};
    job->http = NULL;
    if (!err && response->status / 100 != 2)
        (void)err_set(&bad, ERR_IO, "the simulator's mailbox answered %d", response->status);
    finish(job, true, "simulator", err ? err : bad.code ? &bad : NULL);
}

static void send_none(void *arg)
{
    struct mail_job *job = arg;
    job->later = NULL;
    finish(job, false, "none", NULL);
}

static void send_simulator(struct mail_job *job, const json_t *args)
{
    const struct mail_options *o = &job->mail->options;
    AUTO_FREE char *url = simulator_url(o->endpoints);
    if (!url) {
        job->later = later_add(o->later, 0, send_none, job);
        return;
    }
    AUTO_FREE char *body = json_text(args);
    struct http_header type = {"content-type", "application/json"};
    job->http = http_send(o->http,
                          &(struct http_request){.method = "POST",
                                                 .url = url,
                                                 .headers = &type,
                                                 .header_count = 1,
                                                 .body = body,
                                                 .body_bytes = strlen(body),
                                                 .connect_timeout_ms = 5000,
                                                 .timeout_ms = 10000,
                                                 .response_bytes_max = 65536},
                          simulator_answered, job);
}

/* ---- SMTP ---- */
static size_t read_message(char *to, size_t size, size_t count, void *arg)
{
    struct mail_job *job = arg;
    size_t left = strlen(job->message) - job->read, take = size * count;
    if (take > left)
        take = left;
    memcpy(to, job->message + job->read, take);
    job->read += take;
    return take;
}

static void smtp_in_thread(uv_work_t *work)
{
    struct mail_job *job = CONTAINER_OF(work, struct mail_job, work);
    const struct mail_options *o = &job->mail->options;
    CURL *curl = curl_easy_init();
    ASSERT(curl);
    struct curl_slist *to = curl_slist_append(NULL, job->to);
    curl_easy_setopt(curl, CURLOPT_URL, o->smtp_url);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, o->mail_from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_message);
    curl_easy_setopt(curl, CURLOPT_READDATA, job);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_TRY);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)MAIL_TIMEOUT_MS);
    job->code = curl_easy_perform(curl);
    curl_slist_free_all(to);
    curl_easy_cleanup(curl);
}

static void smtp_done(uv_work_t *work, int status)
{
    struct mail_job *job = CONTAINER_OF(work, struct mail_job, work);
    struct err err = {0};
    (void)status;
    if (job->code != CURLE_OK)
        (void)err_set(&err, ERR_IO, "the mail server did not take the mail: %s", curl_easy_strerror(job->code));
    finish(job, true, "smtp", err.code ? &err : NULL);
}

/* Header values come from the import: a line break in one would start a header of its own. */
static void add_header(struct str *to, const char *name, const char *value)
{
    str_addf(to, "%s: ", name);
    for (const char *at = value; *at; at++)
        str_add_char(to, *at == '\r' || *at == '\n' ? ' ' : *at);
    str_add(to, "\r\n");
}

static void add_body(struct str *to, const char *text)
{
    str_add(to, "\r\n");
    for (const char *at = text; *at; at++) {
        if (*at == '\n')
            str_add(to, "\r\n");
        else if (*at != '\r')
            str_add_char(to, *at);
    }
    str_add(to, "\r\n");
}

static void send_smtp(struct mail_job *job, const json_t *args)
{
    const struct mail_options *o = &job->mail->options;
    struct str message;
    str_init(&message, MAIL_BYTES_MAX);
    add_header(&message, "From", o->mail_from);
    add_header(&message, "To", json_str_at(args, "to"));
    add_header(&message, "Subject", json_str_at(args, "subject"));
    add_header(&message, "Content-Type", "text/plain; charset=utf-8");
    add_header(&message, "Auto-Submitted", "auto-generated");
    add_body(&message, json_str_at(args, "text"));
    job->message = str_take(&message);
    job->to = mem_dup(json_str_at(args, "to"));
    job->is_working = true;
    ASSERT(uv_queue_work(o->loop, &job->work, smtp_in_thread, smtp_done) == 0);
}

struct mail_job *mail_send(struct gate_mail *mail, const json_t *args, mail_fn *done, void *arg)
{
    struct mail_job *job = MEM_NEW(struct mail_job);
    *job = (struct mail_job){.mail = mail, .done = done, .arg = arg};
    if (mail->options.is_simulated)
        send_simulator(job, args);
    else if (*mail->options.smtp_url)
        send_smtp(job, args);
    else
        job->later = later_add(mail->options.later, 0, send_none, job);
    return job;
}

void mail_forget(struct mail_job *job)
{
    job->done = NULL;
    if (job->is_working)
        return; /* the thread ends by itself */
    if (job->http)
        http_cancel(job->http);
    later_cancel(job->later);
    job_free(job);
}

/* HTTP for the scripted people: JSON in, JSON out, one connection reused, against the dispatcher and this simulator's
 * own admin endpoint. Each thread of the people has its own. */
#include "people.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX ((size_t)16 << 20)

struct answer {
    char *data;
    size_t bytes;
};

static _Thread_local CURL *people_curl;
static _Thread_local const atomic_bool *people_stopping;

/* Whoever stops the simulator does not wait for an answer that nobody gives any more. */
static int watch(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)arg, (void)a, (void)b, (void)c, (void)d;
    return *people_stopping ? 1 : 0;
}

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    struct answer *a = arg;
    size_t bytes = size * count;
    if (a->bytes + bytes > ANSWER_MAX)
        return 0;
    char *grown = realloc(a->data, a->bytes + bytes + 1);
    if (grown == NULL)
        return 0;
    a->data = grown;
    memcpy(a->data + a->bytes, data, bytes);
    a->bytes += bytes;
    a->data[a->bytes] = '\0';
    return bytes;
}

bool people_http_open(const atomic_bool *stopping)
{
    people_stopping = stopping;
    people_curl = curl_easy_init();
    return people_curl != NULL;
}

void people_http_close(void)
{
    curl_easy_cleanup(people_curl);
    people_curl = NULL;
}

void people_escape(const char *text, char *ret, size_t room)
{
    char *escaped = curl_easy_escape(people_curl, text, 0);
    (void)snprintf(ret, room, "%s", escaped ? escaped : "");
    curl_free(escaped);
}

json_t *people_http(const char *method, const char *url, const char *token, const json_t *body, long *ret_status)
{
    struct answer answer = {0};
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    char authorization[600];
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    *ret_status = 0;
    if (token != NULL && token[0] != '\0') {
        (void)snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", token);
        headers = curl_slist_append(headers, authorization);
    }
    curl_easy_reset(people_curl);
    curl_easy_setopt(people_curl, CURLOPT_URL, url);
    curl_easy_setopt(people_curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(people_curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(people_curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(people_curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(people_curl, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(people_curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(people_curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(people_curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(people_curl, CURLOPT_PROXY,
                     ""); /* people never go through a proxy to reach the fleet beside them */
    if (text != NULL)
        curl_easy_setopt(people_curl, CURLOPT_POSTFIELDS, text);
    if (curl_easy_perform(people_curl) == CURLE_OK)
        curl_easy_getinfo(people_curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_slist_free_all(headers);
    free(text);
    json_t *parsed = answer.data ? json_loadb(answer.data, answer.bytes, 0, NULL) : NULL;
    free(answer.data);
    return parsed;
}

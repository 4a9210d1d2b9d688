/* Answers in the form of each protocol. The state keeps AWS's names, so an answer is mostly the state written out. */
#include "sim_core.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void sim_header(struct sim_request *rq, const char *name, const char *value)
{
    size_t room = sizeof rq->reply_headers / sizeof rq->reply_headers[0];
    if (rq->reply_header_count == room)
        return;
    (void)snprintf(rq->reply_headers[rq->reply_header_count].name, sizeof rq->reply_headers[0].name, "%s", name);
    (void)snprintf(rq->reply_headers[rq->reply_header_count].value, sizeof rq->reply_headers[0].value, "%s", value);
    rq->reply_header_count++;
}

static void answer(struct sim_request *rq, int status, const char *type, char *text, size_t bytes)
{
    free(rq->reply); /* a fault may replace an answer */
    rq->status = status;
    rq->reply_type = type;
    rq->reply = text;
    rq->reply_bytes = bytes;
}

static const char *json_content_type(const struct sim_request *rq)
{
    if (sim_protocol_of(rq->service) == SIM_REST_JSON)
        return "application/json";
    return strcmp(rq->service, "partnercentral-channel") == 0 || strcmp(rq->service, "invoicing") == 0
               ? "application/x-amz-json-1.0"
               : "application/x-amz-json-1.1";
}

void sim_ok_json(struct sim_request *rq, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (!text)
        abort();
    answer(rq, 200, json_content_type(rq), text, strlen(text));
}

void sim_ok_empty(struct sim_request *rq, int status)
{
    answer(rq, status, "", NULL, 0);
}

void sim_ok_xml(struct sim_request *rq, int status, const char *xml)
{
    char *text = strdup(xml);
    if (!text)
        abort();
    answer(rq, status, "application/xml", text, strlen(text));
}

static void put_value(struct sim_text *t, const json_t *value);

// NOLINTNEXTLINE(misc-no-recursion): as deep as our own answers
static void put_element(struct sim_text *t, const char *name, const json_t *value)
{
    if (json_is_null(value))
        return;
    if ((json_is_array(value) && json_array_size(value) == 0) ||
        (json_is_object(value) && json_object_size(value) == 0)) {
        sim_text_printf(t, "<%s/>", name);
        return;
    }
    sim_text_printf(t, "<%s>", name);
    put_value(t, value);
    sim_text_printf(t, "</%s>", name);
}

/* {"$map":{..}} is written as AWS writes maps in XML: entries of key and value. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as our own answers
static void put_map(struct sim_text *t, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)map, key, value) {
        sim_text_puts(t, "<entry><key>");
        sim_text_xml(t, key);
        sim_text_puts(t, "</key>");
        put_element(t, "value", value);
        sim_text_puts(t, "</entry>");
    }
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as our own answers
static void put_value(struct sim_text *t, const json_t *value)
{
    if (json_is_string(value)) {
        sim_text_xml(t, json_string_value(value));
    } else if (json_is_integer(value)) {
        sim_text_printf(t, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        sim_text_printf(t, "%.3f", json_real_value(value));
    } else if (json_is_boolean(value)) {
        sim_text_puts(t, json_is_true(value) ? "true" : "false");
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            put_element(t, "member", json_array_get(value, i));
    } else if (json_is_object(value)) {
        const json_t *map = json_object_get(value, "$map");
        if (map) {
            put_map(t, map);
            return;
        }
        const char *key;
        json_t *child;
        json_object_foreach ((json_t *)(uintptr_t)value, key, child)
            put_element(t, key, child);
    }
}

static const char *query_namespace(const char *service)
{
    if (strcmp(service, "iam") == 0)
        return "https://iam.amazonaws.com/doc/2010-05-08/";
    if (strcmp(service, "sts") == 0)
        return "https://sts.amazonaws.com/doc/2011-06-15/";
    return "http://cloudformation.amazonaws.com/doc/2010-05-15/";
}

void sim_ok_query(struct sim_request *rq, json_t *result)
{
    struct sim_text t = {0};
    sim_text_printf(&t, "<%sResponse xmlns=\"%s\">", rq->action, query_namespace(rq->service));
    if (result) {
        char name[160];
        (void)snprintf(name, sizeof name, "%sResult", rq->action);
        put_element(&t, name, result);
        json_decref(result);
    }
    sim_text_printf(&t, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>", rq->request_id,
                    rq->action);
    answer(rq, 200, "text/xml", t.data, t.bytes);
}

/* ---- errors ---- */

static void error_query(struct sim_request *rq, int status, const char *code, const char *message)
{
    struct sim_text t = {0};
    sim_text_printf(&t, "<ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type><Code>%s</Code><Message>",
                    query_namespace(rq->service), status < 500 ? "Sender" : "Receiver", code);
    sim_text_xml(&t, message);
    sim_text_printf(&t, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>", rq->request_id);
    answer(rq, status, "text/xml", t.data, t.bytes);
}

static void error_s3(struct sim_request *rq, int status, const char *code, const char *message)
{
    struct sim_text t = {0};
    sim_text_printf(&t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>", code);
    sim_text_xml(&t, message);
    sim_text_printf(&t, "</Message><RequestId>%s</RequestId><HostId>c2lt</HostId></Error>", rq->request_id);
    answer(rq, status, "application/xml", t.data, t.bytes);
}

static void error_json(struct sim_request *rq, int status, const char *code, const char *message)
{
    json_t *body = json_object();
    char type[256];
    if (sim_trap("json_type_namespaced"))
        (void)snprintf(type, sizeof type, "com.amazonaws.%s#%s", rq->service, code);
    else
        (void)snprintf(type, sizeof type, "%s", code);
    json_object_set_new(body, "__type", json_string(type));
    /* AWS is of two minds about the capital; clients must take both. */
    json_object_set_new(body, strcmp(rq->service, "organizations") == 0 ? "Message" : "message", json_string(message));
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (!text)
        abort();
    answer(rq, status, json_content_type(rq), text, strlen(text));
}

static void error_rest(struct sim_request *rq, int status, const char *code, const char *message)
{
    json_t *body = json_object();
    char type[200];
    if (sim_trap("rest_error_in_header")) {
        (void)snprintf(type, sizeof type, "%s:http://internal.amazon.com/coral/com.amazonaws.%s/", code, rq->service);
    } else {
        (void)snprintf(type, sizeof type, "%s", code);
        json_object_set_new(body, "code", json_string(code));
    }
    sim_header(rq, "x-amzn-ErrorType", type);
    json_object_set_new(body, "message", json_string(message));
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (!text)
        abort();
    answer(rq, status, "application/json", text, strlen(text));
}

void sim_error(struct sim_request *rq, int status, const char *code, const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    enum sim_protocol protocol = sim_protocol_of(rq->service);
    if (protocol == SIM_QUERY)
        error_query(rq, status, code, message);
    else if (protocol == SIM_S3)
        error_s3(rq, status, code, message);
    else if (protocol == SIM_REST_JSON)
        error_rest(rq, status, code, message);
    else
        error_json(rq, status, code, message);
    if (protocol == SIM_S3 && rq->method && strcmp(rq->method, "HEAD") == 0) {
        if (!sim_trap("s3_head_without_body"))
            sim_header(rq, "x-amz-error-code", code);
        free(rq->reply);
        rq->reply = NULL;
        rq->reply_bytes = 0;
    }
    (void)snprintf(rq->error_code, sizeof rq->error_code, "%s", code);
}

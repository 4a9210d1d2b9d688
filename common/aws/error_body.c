/* Error answers by protocol. All bytes are hostile: bounded reads, no echo of what could hold a secret. */
#include "common/aws/error_map.h"

#include "common/base/mem.h"
#include "common/codec/xml.h"
#include "common/http/http_client.h"

#define ERROR_BODY_BYTES_MAX ((size_t)64 * 1024)
#define ERROR_BODY_DEPTH_MAX 16U

static void copy_clean(char *ret, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++)
        ret[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
    /* Not in the middle of a UTF-8 sequence. */
    while (*text && n && ((unsigned char)*text & 0xC0) == 0x80 && ((unsigned char)ret[n - 1] & 0x80)) {
        bool is_lead = ((unsigned char)ret[n - 1] & 0xC0) == 0xC0;
        n--;
        if (is_lead)
            break;
    }
    ret[n] = 0;
}

/* "The Canonical String for this request should have been ..." quotes our headers, the session token among them. */
static void copy_message(char *ret, size_t size, const char *text)
{
    copy_clean(ret, size, text);
    static const char *const secrets_follow[] = {"The Canonical String", "The String-to-Sign", "x-amz-security-token"};
    for (size_t i = 0; i < ARRAY_LEN(secrets_follow); i++) {
        char *cut = strcasestr(ret, secrets_follow[i]);
        if (cut)
            *cut = 0;
    }
    for (size_t n = strlen(ret); n && ret[n - 1] == ' '; n--)
        ret[n - 1] = 0;
}

/* "ns#Code:http://.." -> "Code" */
static void copy_code(char *ret, size_t size, const char *text)
{
    char whole[256];
    copy_clean(whole, sizeof whole, text);
    whole[strcspn(whole, ":")] = 0;
    const char *hash = strrchr(whole, '#');
    const char *start = hash ? hash + 1 : whole;
    size_t n = strspn(start, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (start[n] || n >= size)
        return; /* not a code: something in between wrote this */
    memcpy(ret, start, n);
    ret[n] = 0;
}

static const char *first_of(const json_t *value, const char *const *names)
{
    for (; *names; names++)
        if (*json_str_at(value, *names))
            return json_str_at(value, *names);
    return "";
}

static void read_json(const struct aws_reply *reply, const struct http_response *headers, struct aws_fault *ret)
{
    static const char *const codes[] = {"__type", "code", "Code", "Error.Code", NULL};
    static const char *const messages[] = {"message", "Message", "errorMessage", NULL};
    struct err ignored;
    json_auto_t *body = json_read(reply->body, reply->body_bytes, ERROR_BODY_DEPTH_MAX, &ignored);
    char type[256];
    if (http_response_header(headers, "x-amzn-errortype", type, sizeof type))
        copy_code(ret->code, sizeof ret->code, type);
    if (body && !*ret->code)
        copy_code(ret->code, sizeof ret->code, first_of(body, codes));
    if (body)
        copy_message(ret->message, sizeof ret->message, first_of(body, messages));
}

static void read_xml(const struct aws_reply *reply, struct aws_fault *ret)
{
    static const char *const codes[] = {"Error.Code", "Code", "Errors.Error.Code", NULL};
    static const char *const messages[] = {"Error.Message", "Message", "Errors.Error.Message", NULL};
    static const char *const ids[] = {"RequestId", "RequestID", NULL};
    char root[64];
    struct err ignored;
    json_auto_t *body = xml_read(reply->body, reply->body_bytes, root, &ignored);
    if (!body || (!str_eq(root, "ErrorResponse") && !str_eq(root, "Error") && !str_eq(root, "Response")))
        return;
    copy_code(ret->code, sizeof ret->code, first_of(body, codes));
    copy_message(ret->message, sizeof ret->message, first_of(body, messages));
    if (!*ret->request_id)
        copy_clean(ret->request_id, sizeof ret->request_id, first_of(body, ids));
}

void aws_fault_read(const struct aws_service *service, const struct aws_reply *reply, struct aws_fault *ret)
{
    static const char *const id_headers[] = {"x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"};
    *ret = (struct aws_fault){0};
    AUTO_FREE char *headers = mem_dup(reply->headers);
    const struct http_response view = {.headers = headers};
    for (size_t i = 0; i < ARRAY_LEN(id_headers) && !*ret->request_id; i++) {
        char id[256];
        if (http_response_header(&view, id_headers[i], id, sizeof id))
            copy_clean(ret->request_id, sizeof ret->request_id, id);
    }
    bool is_error = reply->status < 200 || reply->status >= 300;
    if (!is_error || !reply->body_bytes || reply->body_bytes > ERROR_BODY_BYTES_MAX) {
        char type[256];
        if (is_error && http_response_header(&view, "x-amzn-errortype", type, sizeof type))
            copy_code(ret->code, sizeof ret->code, type);
        return;
    }
    if (service->protocol == AWS_QUERY || service->protocol == AWS_REST_XML)
        read_xml(reply, ret);
    else
        read_json(reply, &view, ret);
}

/* Shared by all services: requests from args, facts from answers, both driven by one-line specs, so that an operation
 * is a table entry and not a page of code. Pure; everything read here is hostile, everything written here is bounded.
 *
 * Args carry AWS's own names ("RoleName"); facts are lower case and few. What the client adds and build must not:
 * Content-Type, X-Amz-Target, and for the query protocol `Action=..&Version=..` before the body, which is "A=b&C=d"
 * without a leading '&' (empty when there is nothing to say). `ret->query` and `ret->body` may come in zeroed or made.
 */
#pragma once

#include "common/aws/op.h"

#define BUILD_BODY_MAX (256U * 1024)
#define BUILD_QUERY_MAX 8192U

/* A spec is words: Name[!][:kind]. '!' = must be there and not be empty. Kinds: text (default; an integer is written as
 * its digits), int, bool, list (of texts, or of
 * objects whose members are texts or lists of texts), map, object (a JSON value as it is), doc (a JSON value sent as
 * compact text: policy documents; a text is sent as it is), tags ([{"Key","Value"}]). A name in args that the spec
 * lacks is a fault of ours: ERR_INTERNAL. args may be NULL. */
NODISCARD int build_query(const json_t *args, const char *spec, struct aws_request *ret,
                          struct err *err); /* POST /, form */
NODISCARD int build_json(const json_t *args, const char *spec, struct aws_request *ret,
                         struct err *err); /* POST /, JSON object */
NODISCARD int build_rest(const json_t *args, const char *path, const char *spec, struct aws_request *ret,
                         struct err *err); /* POST path */
/* A build function that is only its spec. */
#define BUILD_QUERY(fn, spec)                                                                                          \
    static int fn(const json_t *args, struct aws_request *ret, struct err *err)                                        \
    {                                                                                                                  \
        return build_query(args, spec, ret, err);                                                                      \
    }
#define BUILD_JSON(fn, spec)                                                                                           \
    static int fn(const json_t *args, struct aws_request *ret, struct err *err)                                        \
    {                                                                                                                  \
        return build_json(args, spec, ret, err);                                                                       \
    }
#define BUILD_REST(fn, path, spec)                                                                                     \
    static int fn(const json_t *args, struct aws_request *ret, struct err *err)                                        \
    {                                                                                                                  \
        return build_rest(args, path, spec, ret, err);                                                                 \
    }
/* For those that fill the request themselves (S3, GET with labels). */
NODISCARD int build_check(const json_t *args, const char *spec, struct err *err);
void build_start(struct aws_request *ret, const char *method, const char *path);
void build_query_pair(struct aws_request *ret, const char *name, const char *value); /* encoded here */
NODISCARD int build_header(struct aws_request *ret, const char *name, const char *value, struct err *err);
NODISCARD int build_finish(const struct aws_request *ret, struct err *err); /* nothing went over its limit */
/* S3's checksum: Content-MD5 of the body as it is now. */
NODISCARD int build_content_md5(struct aws_request *ret, struct err *err);

/* Answers. All give new references, or NULL with ERR_AWS_ANSWER. */
json_t *parse_nothing(const struct aws_reply *reply, struct err *err); /* {} */
json_t *parse_json(const struct aws_reply *reply, struct err *err);    /* object; an empty body reads as {} */
json_t *parse_query(const struct aws_reply *reply, const char *result,
                    struct err *err); /* object below <result>; {} when empty */
json_t *parse_xml(const struct aws_reply *reply, const char *root, struct err *err); /* S3: root's object */
/* Puts members of `from` into `to`. Words: Path[>name][!][:kind]; without >name the last part of the path in snake
 * case. Kinds: text (default, a number becomes its digits), int (also from text), bool (also "true"), list (xml_list or
 * array), when (ISO 8601 text or epoch seconds -> milliseconds), doc (percent-encoded JSON), any (as it is). Absent
 * members stay absent; '!' and absent, or of a wrong kind, is ERR_AWS_ANSWER. */
NODISCARD int parse_pick(const json_t *from, const char *spec, json_t *to, struct err *err);
/* A new array of picked objects, one per member of the list at `path` (XML or JSON). NULL on a fault. */
json_t *parse_each(const json_t *from, const char *path, const char *spec, struct err *err);
/* {name: array} as facts with an optional token: what most List operations are. `from`'s reference is taken. */
json_t *parse_list(json_t *from, const char *path, const char *spec, const char *list_name, const char *token,
                   struct err *err);
/* [{"Key","Value"}] (XML or JSON) as {"key":"value"}; new reference, {} when absent. */
json_t *parse_tags(const json_t *from, const char *path);
/* Percent-encoded JSON text as a value; NULL on a fault. */
json_t *parse_document(const char *text, struct err *err);
/* Value of a reply's header, "" when absent or longer than `ret`. */
void parse_header(const struct aws_reply *reply, const char *lower_name, char *ret, size_t ret_size);

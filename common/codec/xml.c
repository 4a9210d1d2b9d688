#include "common/codec/xml.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <expat.h>

#define DEPTH_MAX 48
#define NODES_MAX 2000000

struct frame {
    char name[128];
    json_t *object; /* NULL until a child element appears */
    struct str text;
};

struct reader {
    XML_Parser parser;
    struct frame stack[DEPTH_MAX];
    size_t depth;
    size_t nodes;
    json_t *root;
    char root_name[64];
    const char *fault;
};

static void stop(struct reader *r, const char *fault)
{
    if (!r->fault)
        r->fault = fault;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes UNUSED)
{
    struct reader *r = arg;
    if (r->depth == DEPTH_MAX || ++r->nodes > NODES_MAX || strlen(local_name(name)) >= sizeof r->stack[0].name) {
        stop(r, "nested too deep or too large");
        return;
    }
    struct frame *f = &r->stack[r->depth++];
    *f = (struct frame){0};
    memcpy(f->name, local_name(name), strlen(local_name(name)));
    str_init(&f->text, (size_t)8 << 20);
}

static void add_child(json_t *object, const char *name, json_t *value)
{
    json_t *old = json_object_get(object, name);
    if (!old) {
        json_put(object, name, value);
    } else if (json_is_array(old)) {
        ASSERT(json_array_append_new(old, value) == 0);
    } else {
        json_t *both = json_array();
        (void)json_array_append(both, old);
        (void)json_array_append_new(both, value);
        json_put(object, name, both);
    }
}

static void XMLCALL on_end(void *arg, const XML_Char *name UNUSED)
{
    struct reader *r = arg;
    if (!r->depth || r->fault)
        return;
    struct frame *f = &r->stack[--r->depth];
    json_t *value = f->object ? f->object : json_stringn(f->text.data, f->text.len);
    if (!value)
        value = json_string("");
    if (r->depth) {
        struct frame *parent = &r->stack[r->depth - 1];
        if (!parent->object)
            parent->object = json_object();
        add_child(parent->object, f->name, value);
    } else {
        r->root = value;
        size_t n = strlen(f->name) < sizeof r->root_name - 1 ? strlen(f->name) : sizeof r->root_name - 1;
        memcpy(r->root_name, f->name, n);
    }
    str_done(&f->text);
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct reader *r = arg;
    if (r->depth && len > 0)
        str_add_bytes(&r->stack[r->depth - 1].text, text, (size_t)len);
}

/* A document type could define entities that grow without bound; AWS never sends one. */
static void XMLCALL on_doctype(void *arg, const XML_Char *name UNUSED, const XML_Char *system_id UNUSED,
                               const XML_Char *public_id UNUSED, int has_internal UNUSED)
{
    stop(arg, "a document type is not allowed");
}

/* Newer Expat wants the 64-bit calls, which Debian 12's lacks; what we read is far smaller. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void say_where(const struct reader *r, struct err *err)
{
    (void)err_set(err, ERR_SYNTAX, "XML line %lu column %lu: %s", XML_GetCurrentLineNumber(r->parser),
                  XML_GetCurrentColumnNumber(r->parser),
                  r->fault ? r->fault : XML_ErrorString(XML_GetErrorCode(r->parser)));
}
#pragma GCC diagnostic pop

json_t *xml_read(const char *bytes, size_t len, char ret_root[64], struct err *err)
{
    if (len > (size_t)64 << 20) {
        err_set(err, ERR_TOO_LARGE, "XML over 64 MiB");
        return NULL;
    }
    struct reader *r = MEM_NEW(struct reader);
    r->parser = XML_ParserCreate("UTF-8");
    ASSERT(r->parser);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    bool is_fine = XML_Parse(r->parser, bytes, (int)len, 1) == XML_STATUS_OK && !r->fault && r->root;
    if (!is_fine)
        say_where(r, err);
    while (r->depth) {
        struct frame *f = &r->stack[--r->depth];
        str_done(&f->text);
        json_decref(f->object);
    }
    json_t *root = r->root;
    if (!is_fine) {
        json_decref(root);
        root = NULL;
    } else {
        memcpy(ret_root, r->root_name, sizeof r->root_name);
    }
    XML_ParserFree(r->parser);
    mem_free(r);
    return root;
}

json_t *xml_list(const json_t *value, const char *path)
{
    const json_t *at = json_at(value, path);
    if (json_is_array(at))
        return json_copy((json_t *)(uintptr_t)at);
    json_t *list = json_array();
    if (at && !(json_is_string(at) && !*json_string_value(at)))
        (void)json_array_append(list, (json_t *)(uintptr_t)at);
    return list;
}

void xml_escape(struct str *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            str_add(out, "&amp;");
            break;
        case '<':
            str_add(out, "&lt;");
            break;
        case '>':
            str_add(out, "&gt;");
            break;
        case '"':
            str_add(out, "&quot;");
            break;
        case '\'':
            str_add(out, "&apos;");
            break;
        default:
            str_add_char(out, *text);
        }
    }
}

/* Reads the small XML bodies that S3 gets into JSON: an element with children is an object, text is a string, a name
 * that comes again makes a list. Nothing of common/codec is used, on purpose. */
#include "sim_core.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

struct reading {
    json_t *open[DEPTH_MAX];
    struct sim_text text;
    size_t depth;
    bool bad;
};

static void on_start(void *arg, const char *name, const char **attributes)
{
    struct reading *r = arg;
    (void)name, (void)attributes;
    if (r->depth + 1 >= DEPTH_MAX) {
        r->bad = true;
        return;
    }
    r->open[++r->depth] = json_object();
    r->text.bytes = 0;
}

static void on_text(void *arg, const char *text, int bytes)
{
    struct reading *r = arg;
    sim_text_add(&r->text, text, (size_t)bytes);
}

static void on_end(void *arg, const char *name)
{
    struct reading *r = arg;
    if (r->bad)
        return;
    json_t *value = r->open[r->depth];
    json_t *parent = r->open[--r->depth];
    if (json_object_size(value) == 0) {
        json_decref(value);
        value = json_stringn(r->text.data ? r->text.data : "", r->text.bytes);
    }
    r->text.bytes = 0;
    json_t *before = json_object_get(parent, name);
    if (!before) {
        json_object_set_new(parent, name, value);
    } else if (json_is_array(before)) {
        json_array_append_new(before, value);
    } else {
        json_t *list = json_array();
        json_array_append(list, before);
        json_array_append_new(list, value);
        json_object_set_new(parent, name, list);
    }
}

json_t *sim_xml_parse(const char *body, size_t bytes)
{
    struct reading r = {.depth = 0};
    r.open[0] = json_object();
    XML_Parser parser = XML_ParserCreate("UTF-8");
    if (!parser)
        abort();
    XML_SetUserData(parser, &r);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    bool ok = XML_Parse(parser, body, (int)bytes, 1) == XML_STATUS_OK && !r.bad;
    XML_ParserFree(parser);
    free(r.text.data);
    while (r.depth > 0)
        json_decref(r.open[r.depth--]);
    if (ok)
        return r.open[0];
    json_decref(r.open[0]);
    return NULL;
}

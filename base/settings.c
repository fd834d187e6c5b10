#include "base/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

enum { SETTINGS_NAME_SIZE_MAX = 128, SETTINGS_TEXT_SIZE_MAX = 512 };

/* Where an item's value came from; line 0: not from a file. */
struct origin {
    enum { ORIGIN_NONE, ORIGIN_PRESET, ORIGIN_FILE, ORIGIN_SET } kind;
    size_t line;
};

struct base_settings {
    const struct base_settings_item *items;
    size_t count;
    char *target;
    struct origin *origins; /* One per item. */
};

struct unit {
    const char *name;
    uint64_t factor;
};

/* From the largest, so that a value is printed in the largest unit that divides it. */
static const struct unit size_units[] = {{"TiB", UINT64_C(1) << 40},
                                         {"GiB", UINT64_C(1) << 30},
                                         {"MiB", UINT64_C(1) << 20},
                                         {"KiB", UINT64_C(1) << 10},
                                         {"B", 1},
                                         {"", 1}};
static const struct unit duration_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { SIZE_UNITS = 6, DURATION_UNITS = 4 };

__attribute__((format(printf, 2, 3))) static void error_write(struct base_settings_error *ret_error,
                                                              const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_error->text, sizeof(ret_error->text), format, arguments);
    va_end(arguments);
}

/* ---- Text to value and back ------------------------------------------------------------------ */

static char *text_copy(const char *text, size_t size)
{
    char *copy = base_alloc(base_allocator_system(), size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static void text_free(char *text)
{
    if (text != NULL)
        base_free(base_allocator_system(), text, strlen(text) + 1);
}

static void list_free(struct base_settings_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        text_free(list->items[i]);
    base_free(base_allocator_system(), list->items, list->count * sizeof(char *));
    *list = (struct base_settings_list){NULL, 0};
}

/* Digits only: no sign, no space, no overflow. Returns what follows them, NULL if there are none.
 */
static const char *digits_read(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    if (at == text)
        return NULL;
    *ret_value = value;
    return at;
}

static bool number_read(const char *text, const struct unit *units, size_t unit_count,
                        uint64_t *ret_value)
{
    uint64_t value;
    const char *rest = digits_read(text, &value);
    if (rest == NULL)
        return false;
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(rest, units[i].name) == 0 && value <= UINT64_MAX / units[i].factor) {
            *ret_value = value * units[i].factor;
            return true;
        }
    }
    return false;
}

static void number_write(uint64_t value, const struct unit *units, size_t unit_count, char *buffer,
                         size_t buffer_size)
{
    size_t i = 0;
    while (i + 1 < unit_count && (value % units[i].factor != 0 || value == 0))
        i++;
    snprintf(buffer, buffer_size, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool id_read(const char *text, uint8_t *ret_id)
{
    uint8_t id[BASE_SETTINGS_ID_SIZE];
    if (strlen(text) != 2 * sizeof(id))
        return false;
    for (size_t i = 0; i < sizeof(id); i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_id, id, sizeof(id));
    return true;
}

/* Appends a printed value; the buffer's end cuts it. */
static void append(char *buffer, size_t buffer_size, const char *text)
{
    size_t used = strlen(buffer);
    snprintf(buffer + used, buffer_size - used, "%s", text);
}

/* "one of debug, info, warn": what would be right for an item, as the end of "it must be ...". */
static const char *wanted(const struct base_settings_item *item, char *buffer, size_t buffer_size)
{
    char min[32], max[32];
    switch (item->type) {
    case BASE_SETTINGS_BOOL:
        return "true or false";
    case BASE_SETTINGS_INTEGER:
        snprintf(buffer, buffer_size, "a whole number from %" PRIu64 " to %" PRIu64, item->min,
                 item->max);
        return buffer;
    case BASE_SETTINGS_SIZE:
        number_write(item->min, size_units, SIZE_UNITS - 1, min, sizeof(min));
        number_write(item->max, size_units, SIZE_UNITS - 1, max, sizeof(max));
        snprintf(buffer, buffer_size, "a size from %s to %s, such as 64MiB", min, max);
        return buffer;
    case BASE_SETTINGS_DURATION:
        number_write(item->min, duration_units, DURATION_UNITS, min, sizeof(min));
        number_write(item->max, duration_units, DURATION_UNITS, max, sizeof(max));
        snprintf(buffer, buffer_size, "a duration from %s to %s, such as 300ms or 10s", min, max);
        return buffer;
    case BASE_SETTINGS_ENUM:
        buffer[0] = '\0';
        for (size_t i = 0; item->names[i] != NULL; i++) {
            append(buffer, buffer_size, i == 0 ? "one of " : ", ");
            append(buffer, buffer_size, item->names[i]);
        }
        return buffer;
    case BASE_SETTINGS_ID:
        return "32 hexadecimal digits (0-9, a-f)";
    case BASE_SETTINGS_LIST:
        return "a list of texts, such as [a, b]";
    case BASE_SETTINGS_STRING:
        break;
    }
    return "a text";
}

static bool number_set(const struct base_settings_item *item, void *at, const char *text)
{
    static const struct unit plain[] = {{"", 1}};
    uint64_t value;
    bool read = item->type == BASE_SETTINGS_SIZE ? number_read(text, size_units, SIZE_UNITS, &value)
                : item->type == BASE_SETTINGS_DURATION
                    ? number_read(text, duration_units, DURATION_UNITS, &value)
                    : number_read(text, plain, 1, &value);
    if (!read || value < item->min || value > item->max)
        return false;
    *(uint64_t *)at = value;
    return true;
}

/* Sets every type but lists. NULL when it was set; else what would be right, in buffer or static.
 */
static const char *scalar_set(const struct base_settings_item *item, void *at, const char *text,
                              char *buffer, size_t buffer_size)
{
    const char *problem;
    switch (item->type) {
    case BASE_SETTINGS_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            break;
        *(bool *)at = text[0] == 't';
        return NULL;
    case BASE_SETTINGS_INTEGER:
    case BASE_SETTINGS_SIZE:
    case BASE_SETTINGS_DURATION:
        if (!number_set(item, at, text))
            break;
        return NULL;
    case BASE_SETTINGS_STRING:
        problem = item->check == NULL ? NULL : item->check(text);
        if (problem != NULL)
            return problem;
        text_free(*(char **)at);
        *(char **)at = text_copy(text, strlen(text));
        return NULL;
    case BASE_SETTINGS_ENUM:
        for (int i = 0; item->names[i] != NULL; i++) {
            if (strcmp(text, item->names[i]) == 0) {
                *(int *)at = i;
                return NULL;
            }
        }
        break;
    case BASE_SETTINGS_ID:
        if (!id_read(text, at))
            break;
        return NULL;
    case BASE_SETTINGS_LIST:
        TORC_ASSERT(item->type != BASE_SETTINGS_LIST);
        break;
    }
    return wanted(item, buffer, buffer_size);
}

/* Adds one element; NULL or what would be right. */
static const char *list_add(const struct base_settings_item *item, struct base_settings_list *list,
                            const char *text, size_t size)
{
    char *copy = text_copy(text, size);
    const char *problem = item->check == NULL ? NULL : item->check(copy);
    if (problem == NULL && (size == 0 || memchr(copy, ',', size) != NULL))
        problem = "a text that is not empty and has no comma";
    if (problem != NULL) {
        text_free(copy);
        return problem;
    }
    const struct base_allocator *system = base_allocator_system();
    list->items = system->resize(system->context, list->items, list->count * sizeof(char *),
                                 (list->count + 1) * sizeof(char *));
    list->items[list->count++] = copy;
    return NULL;
}

/* "a,b": replaces the list, or leaves it as it was and says what would be right. */
static const char *list_set(const struct base_settings_item *item, struct base_settings_list *list,
                            const char *text)
{
    struct base_settings_list fresh = {NULL, 0};
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        const char *problem = list_add(item, &fresh, text, size);
        if (problem != NULL) {
            list_free(&fresh);
            return problem;
        }
        text += size;
        if (*text == ',')
            text++;
    }
    list_free(list);
    *list = fresh;
    return NULL;
}

static const char *value_set(struct base_settings *settings, size_t i, const char *text,
                             char *buffer, size_t buffer_size)
{
    const struct base_settings_item *item = &settings->items[i];
    void *at = settings->target + item->offset;
    if (item->type == BASE_SETTINGS_LIST)
        return list_set(item, at, text);
    return scalar_set(item, at, text, buffer, buffer_size);
}

const char *base_settings_value(const struct base_settings *settings, size_t i, char *buffer,
                                size_t buffer_size)
{
    TORC_ASSERT(i < settings->count);
    TORC_ASSERT(buffer_size > 0);
    const struct base_settings_item *item = &settings->items[i];
    const void *at = settings->target + item->offset;
    buffer[0] = '\0';
    if (settings->origins[i].kind == ORIGIN_NONE)
        return buffer;
    switch (item->type) {
    case BASE_SETTINGS_BOOL:
        append(buffer, buffer_size, *(const bool *)at ? "true" : "false");
        break;
    case BASE_SETTINGS_INTEGER:
        snprintf(buffer, buffer_size, "%" PRIu64, *(const uint64_t *)at);
        break;
    case BASE_SETTINGS_SIZE:
        number_write(*(const uint64_t *)at, size_units, SIZE_UNITS - 1, buffer, buffer_size);
        break;
    case BASE_SETTINGS_DURATION:
        number_write(*(const uint64_t *)at, duration_units, DURATION_UNITS, buffer, buffer_size);
        break;
    case BASE_SETTINGS_STRING:
        append(buffer, buffer_size, *(char *const *)at);
        break;
    case BASE_SETTINGS_LIST:
        for (size_t j = 0; j < ((const struct base_settings_list *)at)->count; j++) {
            append(buffer, buffer_size, j == 0 ? "" : ",");
            append(buffer, buffer_size, ((const struct base_settings_list *)at)->items[j]);
        }
        break;
    case BASE_SETTINGS_ENUM:
        append(buffer, buffer_size, item->names[*(const int *)at]);
        break;
    case BASE_SETTINGS_ID:
        for (size_t j = 0; j < BASE_SETTINGS_ID_SIZE && 2 * j + 2 < buffer_size; j++)
            snprintf(buffer + 2 * j, buffer_size - 2 * j, "%02x", ((const uint8_t *)at)[j]);
        break;
    }
    return buffer;
}

/* ---- The table ------------------------------------------------------------------------------- */

struct base_settings *base_settings_new(const struct base_settings_item *items, size_t count,
                                        void *target)
{
    TORC_ASSERT(count > 0);
    const struct base_allocator *system = base_allocator_system();
    struct base_settings *settings = base_alloc_zero(system, sizeof(*settings));
    settings->items = items;
    settings->count = count;
    settings->target = target;
    settings->origins = base_alloc_zero(system, count * sizeof(struct origin));
    for (size_t i = 0; i < count; i++) {
        char buffer[SETTINGS_TEXT_SIZE_MAX];
        void *at = settings->target + items[i].offset;
        if (items[i].type == BASE_SETTINGS_STRING)
            *(char **)at = NULL;
        if (items[i].type == BASE_SETTINGS_LIST)
            *(struct base_settings_list *)at = (struct base_settings_list){NULL, 0};
        if (items[i].preset == NULL)
            continue;
        TORC_ASSERT(value_set(settings, i, items[i].preset, buffer, sizeof(buffer)) == NULL);
        settings->origins[i].kind = ORIGIN_PRESET;
    }
    return settings;
}

void base_settings_free(struct base_settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->count; i++) {
        void *at = settings->target + settings->items[i].offset;
        if (settings->items[i].type == BASE_SETTINGS_STRING) {
            text_free(*(char **)at);
            *(char **)at = NULL;
        } else if (settings->items[i].type == BASE_SETTINGS_LIST) {
            list_free(at);
        }
    }
    base_free(base_allocator_system(), settings->origins, settings->count * sizeof(struct origin));
    base_free(base_allocator_system(), settings, sizeof(*settings));
}

size_t base_settings_count(const struct base_settings *settings)
{
    return settings->count;
}

const char *base_settings_name(const struct base_settings *settings, size_t i)
{
    TORC_ASSERT(i < settings->count);
    return settings->items[i].name;
}

/* settings->count when there is none. */
static size_t item_find(const struct base_settings *settings, const char *name)
{
    size_t i = 0;
    while (i < settings->count && strcmp(settings->items[i].name, name) != 0)
        i++;
    return i;
}

/* Edits (insert, delete, replace one character) from a to b; at most SETTINGS_NAME_SIZE_MAX each.
 */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[SETTINGS_NAME_SIZE_MAX + 1];
    size_t b_size = strlen(b);
    TORC_ASSERT(b_size <= SETTINGS_NAME_SIZE_MAX);
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = diagonal + (a[i] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_size];
}

/* The most similar name if it is similar at all, else NULL. */
static const char *nearest_name(const struct base_settings *settings, const char *name)
{
    const char *nearest = NULL;
    size_t least = strlen(name) / 3 + 2;
    for (size_t i = 0; i < settings->count; i++) {
        size_t distance = edit_distance(name, settings->items[i].name);
        if (distance < least) {
            least = distance;
            nearest = settings->items[i].name;
        }
    }
    return nearest;
}

static void unknown_write(const struct base_settings *settings, const char *where, const char *name,
                          struct base_settings_error *ret_error)
{
    char quoted[SETTINGS_NAME_SIZE_MAX];
    base_log_quote(quoted, sizeof(quoted), name, strlen(name));
    const char *nearest = nearest_name(settings, name);
    if (nearest != NULL)
        error_write(ret_error, "%s: there is no setting %s; did you mean %s?", where, quoted,
                    nearest);
    else
        error_write(ret_error, "%s: there is no setting %s; --help lists all", where, quoted);
}

static void wrong_write(const char *where, const char *name, const char *text, const char *right,
                        struct base_settings_error *ret_error)
{
    char quoted[SETTINGS_NAME_SIZE_MAX];
    base_log_quote(quoted, sizeof(quoted), text, strlen(text));
    error_write(ret_error, "%s: %s is %s; it must be %s", where, name, quoted, right);
}

enum torc_status base_settings_set(struct base_settings *settings, const char *assignment,
                                   struct base_settings_error *ret_error)
{
    char name[SETTINGS_NAME_SIZE_MAX], buffer[SETTINGS_TEXT_SIZE_MAX];
    size_t size = strcspn(assignment, "=");
    if (assignment[size] != '=' || size == 0 || size >= sizeof(name)) {
        base_log_quote(buffer, sizeof(buffer), assignment, strlen(assignment));
        error_write(ret_error, "--set %s: it must be NAME=VALUE, such as --set log.level=debug",
                    buffer);
        return TORC_MALFORMED;
    }
    memcpy(name, assignment, size);
    name[size] = '\0';
    size_t i = item_find(settings, name);
    if (i == settings->count) {
        unknown_write(settings, "--set", name, ret_error);
        return TORC_MALFORMED;
    }
    const char *text = assignment + size + 1;
    const char *right = value_set(settings, i, text, buffer, sizeof(buffer));
    if (right != NULL) {
        wrong_write("--set", name, text, right, ret_error);
        return TORC_MALFORMED;
    }
    settings->origins[i] = (struct origin){ORIGIN_SET, 0};
    return TORC_OK;
}

enum torc_status base_settings_complete(const struct base_settings *settings,
                                        struct base_settings_error *ret_error)
{
    char buffer[SETTINGS_TEXT_SIZE_MAX];
    for (size_t i = 0; i < settings->count; i++) {
        if (settings->origins[i].kind != ORIGIN_NONE)
            continue;
        error_write(ret_error, "%s is missing; it must be %s (%s)", settings->items[i].name,
                    wanted(&settings->items[i], buffer, sizeof(buffer)), settings->items[i].help);
        return TORC_INVALID;
    }
    return TORC_OK;
}

/* ---- YAML ------------------------------------------------------------------------------------ */

/* One reading of one text. */
struct reader {
    struct base_settings *settings;
    const char *file;
    yaml_parser_t yaml;
    yaml_event_t event; /* Valid while has_event. */
    bool has_event;
    struct base_settings_error *error;
};

/* "FILE:LINE:COLUMN" of a mark, both counted from 1. */
static const char *where(const struct reader *reader, yaml_mark_t mark, char *buffer,
                         size_t buffer_size)
{
    snprintf(buffer, buffer_size, "%.200s:%zu:%zu", reader->file, mark.line + 1, mark.column + 1);
    return buffer;
}

static bool refuse(struct reader *reader, yaml_mark_t mark, const char *text)
{
    char place[SETTINGS_TEXT_SIZE_MAX];
    error_write(reader->error, "%s: %s", where(reader, mark, place, sizeof(place)), text);
    return false;
}

/* Reads the next event into reader->event; false: the text is not YAML, said. */
static bool next(struct reader *reader)
{
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    reader->has_event = yaml_parser_parse(&reader->yaml, &reader->event) == 1;
    if (!reader->has_event) {
        char text[SETTINGS_TEXT_SIZE_MAX];
        snprintf(text, sizeof(text), "this is not YAML: %s",
                 reader->yaml.problem == NULL ? "unreadable" : reader->yaml.problem);
        return refuse(reader, reader->yaml.problem_mark, text);
    }
    return true;
}

/* The scalar of the current event; NULL (and said) when it holds a NUL byte. */
static const char *scalar_text(struct reader *reader)
{
    const char *text = (const char *)reader->event.data.scalar.value;
    if (strlen(text) != reader->event.data.scalar.length) {
        refuse(reader, reader->event.start_mark, "a text must not hold a NUL byte");
        return NULL;
    }
    return text;
}

/* A name is taken once; the error says where it was before. */
static bool origin_claim(struct reader *reader, size_t i, yaml_mark_t mark)
{
    struct origin *origin = &reader->settings->origins[i];
    if (origin->kind == ORIGIN_FILE) {
        char text[SETTINGS_TEXT_SIZE_MAX];
        snprintf(text, sizeof(text), "%s is given twice; the first is on line %zu",
                 reader->settings->items[i].name, origin->line);
        return refuse(reader, mark, text);
    }
    *origin = (struct origin){ORIGIN_FILE, mark.line + 1};
    return true;
}

/* From after the "[" to the "]". */
static bool list_read(struct reader *reader, size_t i)
{
    const struct base_settings_item *item = &reader->settings->items[i];
    struct base_settings_list *list =
        (struct base_settings_list *)(void *)(reader->settings->target + item->offset);
    list_free(list);
    while (next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
        if (reader->event.type != YAML_SCALAR_EVENT)
            return refuse(reader, reader->event.start_mark,
                          "an element of a list must be a plain text");
        const char *text = scalar_text(reader);
        if (text == NULL)
            return false;
        const char *right = list_add(item, list, text, strlen(text));
        if (right != NULL) {
            char place[SETTINGS_TEXT_SIZE_MAX];
            wrong_write(where(reader, reader->event.start_mark, place, sizeof(place)), item->name,
                        text, right, reader->error);
            return false;
        }
    }
    return reader->has_event;
}

/* The value that follows the name of item i. */
static bool value_read(struct reader *reader, size_t i, yaml_mark_t name_mark)
{
    const struct base_settings_item *item = &reader->settings->items[i];
    char right_buffer[SETTINGS_TEXT_SIZE_MAX], place[SETTINGS_TEXT_SIZE_MAX];
    if (!origin_claim(reader, i, name_mark) || !next(reader))
        return false;
    where(reader, reader->event.start_mark, place, sizeof(place));
    if (reader->event.type == YAML_SEQUENCE_START_EVENT && item->type == BASE_SETTINGS_LIST)
        return list_read(reader, i);
    if (reader->event.type != YAML_SCALAR_EVENT) {
        error_write(reader->error, "%s: %s must be %s, not %s", place, item->name,
                    wanted(item, right_buffer, sizeof(right_buffer)),
                    reader->event.type == YAML_SEQUENCE_START_EVENT  ? "a list"
                    : reader->event.type == YAML_MAPPING_START_EVENT ? "a mapping"
                                                                     : "an alias");
        return false;
    }
    const char *text = scalar_text(reader);
    if (text == NULL)
        return false;
    const char *right = value_set(reader->settings, i, text, right_buffer, sizeof(right_buffer));
    if (right != NULL)
        wrong_write(place, item->name, text, right, reader->error);
    return right == NULL;
}

/* Whether some item's name begins with `name` and a dot. */
static bool prefix_known(const struct base_settings *settings, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < settings->count; i++) {
        if (strncmp(settings->items[i].name, name, size) == 0 &&
            settings->items[i].name[size] == '.')
            return true;
    }
    return false;
}

/* From after the start of a mapping to its end; names in it follow `prefix` ("" or "log."). Goes
 * only as deep as there are dots in names of the table. */
static bool mapping_read(struct reader *reader, const char *prefix)
{
    while (next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
        char name[SETTINGS_NAME_SIZE_MAX], place[SETTINGS_TEXT_SIZE_MAX];
        yaml_mark_t mark = reader->event.start_mark;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return refuse(reader, mark, "the name of a setting must stand here");
        const char *text = scalar_text(reader);
        if (text == NULL)
            return false;
        int wanted_size = snprintf(name, sizeof(name), "%s%s", prefix, text);
        size_t i = item_find(reader->settings, name);
        bool fits = wanted_size >= 0 && (size_t)wanted_size + 1 < sizeof(name);
        if (fits && i < reader->settings->count) {
            if (!value_read(reader, i, mark))
                return false;
        } else if (fits && prefix_known(reader->settings, name)) {
            if (!next(reader))
                return false;
            if (reader->event.type != YAML_MAPPING_START_EVENT)
                return refuse(reader, reader->event.start_mark,
                              "a mapping must stand here, such as {level: info}");
            memcpy(name + wanted_size, ".", 2);
            if (!mapping_read(reader, name))
                return false;
        } else {
            unknown_write(reader->settings, where(reader, mark, place, sizeof(place)), name,
                          reader->error);
            return false;
        }
    }
    return reader->has_event;
}

/* Stream start, at most one document that is empty or a mapping, stream end. */
static bool stream_read(struct reader *reader)
{
    if (!next(reader) || !next(reader))
        return false;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return true;
    if (!next(reader))
        return false;
    if (reader->event.type == YAML_MAPPING_START_EVENT) {
        if (!mapping_read(reader, ""))
            return false;
    } else if (reader->event.type != YAML_SCALAR_EVENT || reader->event.data.scalar.length > 0) {
        return refuse(reader, reader->event.start_mark,
                      "settings must be written as \"name: value\" lines");
    }
    if (!next(reader) || !next(reader)) /* The document's end, then the stream's. */
        return false;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return refuse(reader, reader->event.start_mark, "a second document has no meaning here");
    return true;
}

enum torc_status base_settings_parse(struct base_settings *settings, const char *file,
                                     struct base_bytes text, struct base_settings_error *ret_error)
{
    if (text.size > BASE_SETTINGS_FILE_SIZE_MAX) {
        error_write(ret_error, "%.200s: the file has %zu bytes; at most %d are read", file,
                    text.size, BASE_SETTINGS_FILE_SIZE_MAX);
        return TORC_MALFORMED;
    }
    struct reader reader = {.settings = settings, .file = file, .error = ret_error};
    TORC_ASSERT(yaml_parser_initialize(&reader.yaml) == 1);
    yaml_parser_set_input_string(&reader.yaml, text.data, text.size);
    bool good = stream_read(&reader);
    if (reader.has_event)
        yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.yaml);
    return good ? TORC_OK : TORC_MALFORMED;
}

enum torc_status base_settings_load(struct base_settings *settings, const char *file,
                                    struct base_settings_error *ret_error)
{
    FILE *in = fopen(file, "re");
    if (in == NULL) {
        error_write(ret_error, "%.200s: cannot be opened: %s", file, strerror(errno));
        return TORC_IO;
    }
    size_t size_max = BASE_SETTINGS_FILE_SIZE_MAX + 1;
    uint8_t *text = base_alloc(base_allocator_system(), size_max);
    size_t size = fread(text, 1, size_max, in);
    enum torc_status status = TORC_IO;
    if (ferror(in))
        error_write(ret_error, "%.200s: cannot be read: %s", file, strerror(errno));
    else
        status = base_settings_parse(settings, file, base_bytes_of(text, size), ret_error);
    base_free(base_allocator_system(), text, size_max);
    fclose(in);
    return status;
}

/* ---- Programs -------------------------------------------------------------------------------- */

void base_settings_print_help(const struct base_settings *settings, FILE *out)
{
    char buffer[SETTINGS_TEXT_SIZE_MAX];
    for (size_t i = 0; i < settings->count; i++) {
        const struct base_settings_item *item = &settings->items[i];
        fprintf(out, "  %s\n      %s\n      %s; ", item->name, item->help,
                wanted(item, buffer, sizeof(buffer)));
        if (item->preset == NULL)
            fprintf(out, "required\n");
        else if (item->preset[0] == '\0')
            fprintf(out, "empty unless given\n");
        else
            fprintf(out, "%s unless given\n", item->preset);
    }
}

void base_settings_print(const struct base_settings *settings, FILE *out)
{
    char buffer[4096];
    for (size_t i = 0; i < settings->count; i++) {
        const struct origin *origin = &settings->origins[i];
        const char *value = base_settings_value(settings, i, buffer, sizeof(buffer));
        if (origin->kind == ORIGIN_NONE)
            continue;
        /* In single quotes every byte stands for itself; only the quote is doubled. */
        fprintf(out, "%s: '", settings->items[i].name);
        for (const char *at = value; *at != '\0'; at++) {
            fputc(*at, out);
            if (*at == '\'')
                fputc(*at, out);
        }
        fprintf(out, "'");
        if (origin->kind == ORIGIN_FILE)
            fprintf(out, "  # line %zu\n", origin->line);
        else
            fprintf(out, "  # %s\n", origin->kind == ORIGIN_SET ? "--set" : "default");
    }
}

static void usage_print(const struct base_settings *settings, const char *usage, FILE *out)
{
    fprintf(out,
            "Usage: %s [--set NAME=VALUE]... [--check-config]\n\n"
            "  --config FILE      settings, as YAML\n"
            "  --set NAME=VALUE   one setting, over the file's\n"
            "  --check-config     check the settings, print their effective values, and end\n"
            "  --help             this text\n\n"
            "Settings:\n",
            usage);
    base_settings_print_help(settings, out);
}

/* The value of option argv[*i], which may be "--name=value" or "--name value"; NULL: not this one.
 */
static const char *option_value(const char *name, int argc, char **argv, int *i)
{
    size_t size = strlen(name);
    if (strncmp(argv[*i], name, size) != 0)
        return NULL;
    if (argv[*i][size] == '=')
        return argv[*i] + size + 1;
    if (argv[*i][size] != '\0' || *i + 1 >= argc)
        return NULL;
    return argv[++*i];
}

static enum torc_status arguments_read(struct base_settings *settings, int argc, char **argv,
                                       bool *ret_check, struct base_settings_error *ret_error)
{
    /* The file first, wherever it stands, so that --set wins. */
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 1; i < argc; i++) {
            const char *file = option_value("--config", argc, argv, &i);
            const char *assignment = file == NULL ? option_value("--set", argc, argv, &i) : NULL;
            enum torc_status status = TORC_OK;
            if (file != NULL && pass == 0) {
                status = base_settings_load(settings, file, ret_error);
            } else if (assignment != NULL && pass == 1) {
                status = base_settings_set(settings, assignment, ret_error);
            } else if (strcmp(argv[i], "--check-config") == 0) {
                *ret_check = true;
            } else if (file == NULL && assignment == NULL) {
                error_write(ret_error,
                            "%.200s is not understood, or its value is missing; --help "
                            "lists the options",
                            argv[i]);
                status = TORC_INVALID;
            }
            if (status != TORC_OK)
                return status;
        }
    }
    return base_settings_complete(settings, ret_error);
}

int base_settings_start(struct base_settings *settings, const char *usage, int argc, char **argv)
{
    struct base_settings_error error;
    bool check = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            usage_print(settings, usage, stdout);
            return 0;
        }
    }
    if (arguments_read(settings, argc, argv, &check, &error) != TORC_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    if (check) {
        base_settings_print(settings, stdout);
        return 0;
    }
    return -1;
}

#include "router/lcs.h"

#include "router/glob.h"
#include "router/number.h"
#include "router/reply.h"

/* What the words ask for. */
struct options {
    bool length, ranges, with_size;
    int64_t size_min; /* Of a range that is shown. */
};

static bool word_is(struct base_bytes word, const char *text)
{
    return router_glob_match_nocase(base_bytes_text(text), word);
}

/* NULL: they are right. */
static const char *options_read(const struct base_bytes *args, size_t arg_count,
                                struct options *options)
{
    *options = (struct options){0};
    for (size_t i = 3; i < arg_count; i++) {
        if (word_is(args[i], "IDX")) {
            options->ranges = true;
        } else if (word_is(args[i], "LEN")) {
            options->length = true;
        } else if (word_is(args[i], "WITHMATCHLEN")) {
            options->with_size = true;
        } else if (word_is(args[i], "MINMATCHLEN") && i + 1 < arg_count) {
            if (!router_number_read(args[++i], &options->size_min))
                return "ERR value is not an integer or out of range";
        } else {
            return "ERR syntax error";
        }
    }
    if (options->ranges && options->length)
        return "ERR If you want both the length and indexes, please just use IDX.";
    return NULL;
}

bool router_lcs_check(const struct base_bytes *args, size_t arg_count, struct router_buffer *error)
{
    struct options options;
    const char *text = options_read(args, arg_count, &options);
    if (text != NULL)
        router_buffer_text(error, text);
    return text == NULL;
}

/* ---- The table
 * ----------------------------------------------------------------------------------- */

/* Of the table of lengths one row is kept, and of each cell only where the way back goes. */
struct table {
    struct base_bytes a, b;
    uint32_t *row;
    uint8_t *up; /* A bit per cell: shorten a, else b. */
    size_t row_size, up_size;
    uint32_t length;
};

static bool goes_up(const struct table *table, size_t i, size_t j)
{
    size_t cell = (i - 1) * table->b.size + (j - 1);
    return (table->up[cell / 8] >> cell % 8 & 1) != 0;
}

static void row_fill(struct table *table, size_t i)
{
    uint32_t *row = table->row;
    uint32_t diagonal = 0; /* The row above, one to the left. */
    size_t cell = (i - 1) * table->b.size;
    for (size_t j = 1; j <= table->b.size; j++, cell++) {
        uint32_t above = row[j], left = row[j - 1];
        bool equal = table->a.data[i - 1] == table->b.data[j - 1];
        bool up = above > left;
        row[j] = equal ? diagonal + 1 : up ? above : left;
        table->up[cell / 8] |= (uint8_t)(up << cell % 8);
        diagonal = above;
    }
}

static void table_fill(struct table *table, const struct base_allocator *allocator)
{
    table->row_size = (table->b.size + 1) * sizeof(*table->row);
    table->up_size = table->a.size * table->b.size / 8 + 1;
    table->row = base_alloc_zero(allocator, table->row_size);
    table->up = base_alloc_zero(allocator, table->up_size);
    for (size_t i = 1; i <= table->a.size; i++)
        row_fill(table, i);
    table->length = table->row[table->b.size];
}

static void table_free(struct table *table, const struct base_allocator *allocator)
{
    base_free(allocator, table->row, table->row_size);
    base_free(allocator, table->up, table->up_size);
}

/* ---- The way back
 * -------------------------------------------------------------------------------- */

/* What is found from the ends of both values to their beginnings. */
struct way {
    const struct options *options;
    uint8_t *common; /* NULL: not wanted. */
    struct router_buffer *matches;
    size_t match_count;
    size_t a_first, b_first, size; /* The range that is being found; size 0: none. */
};

static void range_end(struct way *way)
{
    int64_t size = (int64_t)way->size;
    if (size > 0 && way->options->ranges && size >= way->options->size_min) {
        router_reply_array(way->matches, way->options->with_size ? 3 : 2);
        router_reply_array(way->matches, 2);
        router_reply_integer(way->matches, (int64_t)way->a_first);
        router_reply_integer(way->matches, (int64_t)way->a_first + size - 1);
        router_reply_array(way->matches, 2);
        router_reply_integer(way->matches, (int64_t)way->b_first);
        router_reply_integer(way->matches, (int64_t)way->b_first + size - 1);
        if (way->options->with_size)
            router_reply_integer(way->matches, size);
        way->match_count++;
    }
    way->size = 0;
}

static void way_back(const struct table *table, struct way *way)
{
    size_t i = table->a.size, j = table->b.size, left = table->length;
    while (i > 0 && j > 0) {
        if (table->a.data[i - 1] == table->b.data[j - 1]) {
            if (way->common != NULL)
                way->common[--left] = table->a.data[i - 1];
            way->a_first = --i;
            way->b_first = --j;
            way->size++;
            continue;
        }
        range_end(way);
        if (goes_up(table, i, j))
            i--;
        else
            j--;
    }
    range_end(way);
}

static void reply_ranges(const struct table *table, const struct options *options,
                         unsigned protocol, struct router_buffer *out)
{
    struct router_buffer matches = router_buffer_empty(out->allocator);
    struct way way = {.options = options, .matches = &matches};
    way_back(table, &way);
    router_reply_map(out, protocol, 2);
    router_reply_bulk_text(out, "matches");
    router_reply_array(out, way.match_count);
    router_buffer_append(out, router_buffer_bytes(&matches));
    router_reply_bulk_text(out, "len");
    router_reply_integer(out, table->length);
    router_buffer_fini(&matches);
}

static void reply_common(const struct table *table, const struct options *options,
                         struct router_buffer *out)
{
    struct router_buffer common = router_buffer_empty(out->allocator);
    struct way way = {.options = options};
    if (table->length > 0)
        way.common = router_buffer_grow(&common, table->length);
    way_back(table, &way);
    router_reply_bulk(out, router_buffer_bytes(&common));
    router_buffer_fini(&common);
}

void router_lcs_reply(const struct base_bytes *args, size_t arg_count, struct base_bytes a,
                      struct base_bytes b, unsigned protocol, struct router_buffer *out)
{
    struct options options;
    struct table table = {.a = a, .b = b};
    options_read(args, arg_count, &options);
    if ((uint64_t)a.size * b.size > ROUTER_LCS_PRODUCT_MAX) {
        router_buffer_format(out,
                             "-ERR LCS of %zu and %zu bytes is too much work: their product's "
                             "limit is %u\r\n",
                             a.size, b.size, (unsigned)ROUTER_LCS_PRODUCT_MAX);
        return;
    }
    if (a.size == 0 || b.size == 0)
        table.a.size = table.b.size = 0;
    table_fill(&table, out->allocator);
    if (options.ranges)
        reply_ranges(&table, &options, protocol, out);
    else if (options.length)
        router_reply_integer(out, table.length);
    else
        reply_common(&table, &options, out);
    table_free(&table, out->allocator);
}

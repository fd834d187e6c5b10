#include "tests/cluster/lib/known.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_SIZE = 6144, LINES_MAX = 256, SECONDS_APART_MAX = 5 };

#define YEAR_2527_MS 17e12

static const struct known knowns[] = {
    {"*", "-ERR key is empty*", "*", 0, false, "SET \"\" v"},
    {"*", "-ERR invalid expire time in*", "*", YEAR_2527_MS, false, "SET k v PXAT 100000000000000"},
    {"bitcount", "-ERR *", ":0*", 0, true, "BITCOUNT nope abc 1"},
    {"bitpos", "-ERR *", ":*", 0, true, "BITPOS nope 0 abc"},
    {"getex", "-ERR *", "[$_]*", 0, true, "GETEX nope EX abc"},
    {"restore", "-ERR *", "-BUSYKEY*", 0, true, "SET k v\nRESTORE k 0 foo"},
    {"incrbyfloat", "~", "~", 0, false, "SET k 200\nINCRBYFLOAT k 5.6"},
    {"incrbyfloat", "-ERR value is not a valid float*", "$*", 0, false, "INCRBYFLOAT nope 0x1p3"},
    {"incrbyfloat", "-ERR increment would *", "-ERR value is not a valid float*", 0, true,
     "SET k abc\nINCRBYFLOAT k inf"},
    {"incrbyfloat", "-ERR value is not a valid float*", "-ERR increment would *", 0, true,
     "SET k inf\nINCRBYFLOAT k 1"},
    {"object|encoding", "$*", "$*", 0, true, "SET k v\nAPPEND k w\nOBJECT ENCODING k"},
    {"object|refcount", ":1*", ":2147483647*", 0, true, "SET k 1\nOBJECT REFCOUNT k"},
    {"lcs", "-ERR LCS of *", "*", 0, true, "SETRANGE k 2000 x\nSETRANGE j 2000 x\nLCS k j LEN"},
    {"setrange", "-ERR value would be larger*", ":*", 0, false, "SETRANGE big 9000000 x"},
    {"setbit", "-ERR value would be larger*", ":*", 0, false, "SETBIT big 80000000 1"},
    {"bitfield", "-ERR value would be larger*", "[*]*", 0, false, "BITFIELD big SET u8 80000000 1"},
    {"memory|usage", "[$_]*", ":*", 0, true, "SET k v PXAT 1\nMEMORY USAGE k"},
    {"dbsize", "<", "<", 0, true, "SET k v PXAT 1\nDBSIZE"},
    {"select", "-ERR *", "+OK*", 0, false, "SELECT 1"},
    {"client|setinfo", "*", "-ERR *", 0, true, "CLIENT SETINFO LIB-NAME x"},
    {"client|tracking", "-ERR CLIENT TRACKING is not supp*", "*", 0, false, "CLIENT TRACKING ON"},
    {"wait", ":1*", ":0*", 0, true, "WAIT 0 0"},
};

const struct known *known_table(size_t *ret_count)
{
    *ret_count = sizeof(knowns) / sizeof(knowns[0]);
    return knowns;
}

static bool matches(const char *pattern, struct base_bytes reply)
{
    char text[PREFIX_SIZE];
    snprintf(text, sizeof(text), "%.*s", (int)reply.size, (const char *)reply.data);
    return fnmatch(pattern, text, FNM_NOESCAPE) == 0;
}

/* The number of a bulk reply; NAN: it is none. */
static long double number_of(struct base_bytes reply)
{
    char text[PREFIX_SIZE], *end = NULL;
    snprintf(text, sizeof(text), "%.*s", (int)reply.size, (const char *)reply.data);
    char *line = strchr(text, '\n');
    if (text[0] != '$' || line == NULL)
        return NAN;
    long double number = strtold(line + 1, &end);
    return end > line + 1 && *end == '\r' ? number : NAN;
}

bool known_nearly(struct base_bytes torc, struct base_bytes redis, long double size)
{
    long double a = number_of(torc), b = number_of(redis);
    return fabsl(a - b) <= 1e-16L + fmaxl(fabsl(a), size) * 1e-18L;
}

static long long integer_of(struct base_bytes reply)
{
    return reply.data[0] == ':' ? strtoll((const char *)reply.data + 1, NULL, 10) : -1;
}

bool known_explains(const struct known *known, const char *name, double number_max,
                    struct base_bytes torc, struct base_bytes redis)
{
    if (strcmp(known->command, "*") != 0 && strcmp(known->command, name) != 0)
        return false;
    if (number_max < known->number_min)
        return false;
    if (strcmp(known->torc, "~") == 0)
        return known_nearly(torc, redis, 0);
    if (strcmp(known->torc, "<") == 0)
        return integer_of(torc) < integer_of(redis);
    return matches(known->torc, torc) && matches(known->redis, redis);
}

const struct known *known_of(const struct grammar_command *command, struct base_bytes torc,
                             struct base_bytes redis)
{
    double number_max = 0;
    for (size_t i = 1; i < command->count; i++) {
        char text[32];
        struct base_bytes word = grammar_word(command, i);
        snprintf(text, sizeof(text), "%.*s", (int)word.size, (const char *)word.data);
        double number = strtod(text, NULL);
        number_max = number > number_max ? number : number_max;
    }
    for (size_t i = 0; i < sizeof(knowns) / sizeof(knowns[0]); i++) {
        if (known_explains(&knowns[i], command->grammar->name, number_max, torc, redis))
            return &knowns[i];
    }
    return NULL;
}

static int line_compare(const void *a, const void *b)
{
    return base_bytes_compare(*(const struct base_bytes *)a, *(const struct base_bytes *)b);
}

/* The lines of a reply, sorted; returns how many. */
static size_t lines_of(struct base_bytes reply, struct base_bytes ret_lines[LINES_MAX])
{
    size_t count = 0;
    const uint8_t *at = reply.data, *end = at + reply.size, *line;
    while (at < end && count < LINES_MAX && (line = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        ret_lines[count++] = base_bytes_of(at, (size_t)(line - at));
        at = line + 1;
    }
    qsort(ret_lines, count, sizeof(ret_lines[0]), line_compare);
    return count;
}

static bool same_lines(struct base_bytes torc, struct base_bytes redis)
{
    static struct base_bytes a[LINES_MAX], b[LINES_MAX];
    size_t count = lines_of(torc, a);
    bool same = count == lines_of(redis, b);
    for (size_t i = 0; same && i < count; i++)
        same = base_bytes_equal(a[i], b[i]);
    return same;
}

static bool same_time(const char *name, struct base_bytes torc, struct base_bytes redis)
{
    long long a = integer_of(torc), b = integer_of(redis);
    long long apart_max = SECONDS_APART_MAX * (name[0] == 'p' ? 1000 : 1);
    return a >= 0 && b >= 0 && llabs(a - b) <= apart_max;
}

static bool is_nil(struct base_bytes reply)
{
    return reply.data[0] == '_' || (reply.size > 1 && reply.data[1] == '-');
}

bool known_same(const struct grammar *grammar, struct base_bytes torc, struct base_bytes redis)
{
    if (base_bytes_equal(torc, redis))
        return true;
    switch (grammar->reply) {
    case GRAMMAR_TIME:
        return same_time(grammar->name, torc, redis);
    case GRAMMAR_UNORDERED:
        return same_lines(torc, redis);
    case GRAMMAR_ERRORS:
        return torc.data[0] != '-' && torc.data[0] == redis.data[0] &&
               is_nil(torc) == is_nil(redis);
    case GRAMMAR_SAME:
    case GRAMMAR_CLOSES:
        break;
    }
    return false;
}

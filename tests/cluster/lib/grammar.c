#include "tests/cluster/lib/grammar.h"

#include <stdio.h>
#include <string.h>

#include "router/buffer.h"
#include "router/dump.h"
#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/grammar_table.h"

enum { LONG_SIZE = 1300, HUNDREDTHS = 100 };

struct maker {
    struct grammar_command *command;
    struct base_prng *prng;
    unsigned lane;
    bool wild; /* Wrong words may come. */
};

struct base_bytes grammar_word(const struct grammar_command *command, size_t i)
{
    return base_bytes_of(command->text + command->begins[i], command->sizes[i]);
}

void grammar_add(struct grammar_command *command, struct base_bytes word)
{
    if (command->count == GRAMMAR_WORDS_MAX || word.size > sizeof(command->text) - command->used)
        return;
    if (word.size > 0)
        memcpy(command->text + command->used, word.data, word.size);
    command->begins[command->count] = (uint32_t)command->used;
    command->sizes[command->count++] = (uint32_t)word.size;
    command->used += word.size;
}

static void add_text(struct maker *maker, const char *text)
{
    grammar_add(maker->command, base_bytes_text(text));
}

static uint64_t pick(struct maker *maker, uint64_t count)
{
    return base_prng_range(maker->prng, 0, count - 1);
}

static bool chance(struct maker *maker, unsigned of_hundred)
{
    return base_prng_chance(maker->prng, of_hundred, HUNDREDTHS);
}

#define PICK(maker, list) ((list)[pick((maker), sizeof(list) / sizeof((list)[0]))])

void grammar_key(char ret_key[24], unsigned lane, unsigned i)
{
    snprintf(ret_key, 24, lane % 2 == 0 ? "{l%u}%c" : "l%u%c", lane, 'a' + (int)i);
}

/* No small positive number is among them: as a time it would end while the test looks on. Nor one
 * that is an offset of much memory. */
static const char *const wrong[] = {
    "",     "abc",  "1.5", "-0",  " 1", "1 ", "00",   "+5",
    "0x10", "1e3",  "nan", "inf", "-1", "0",  "FOO",  "9223372036854775808",
    "-",    "-abc", ".",   "#",   "u",  "*",  "\x01", "99999999999999999999999"};

static void add_value(struct maker *maker)
{
    static const char *const texts[] = {
        "0",  "1",   "-1",  "7",       "10",          "-5",          "9223372036854775807",
        "12", "+1",  "abc", "foobar",  "hello world", "ohmytext",    "-9223372036854775808",
        "",   "1.5", "3e2", "-2.25",   "1e400",       "1.",          "9223372036854775808",
        "00", "-0",  " 1",  "1 ",      ".5",          "mynewtext",   "123456789012345678901234567",
        "x",  "inf", "nan", "0x10",    "NX",          "\"quoted'\"", "2147483648",
        "\t", "\r",  "\n",  "a\r\nb",  "\\x00",       "%s%n",        "17179869184.000000001",
        "-",  "3.0", "099", "1000000", "4294967296",  "-2147483649", "0.00000000000000001"};
    if (chance(maker, 80)) {
        add_text(maker, PICK(maker, texts));
        return;
    }
    uint8_t bytes[LONG_SIZE];
    size_t size = chance(maker, 20) ? LONG_SIZE : pick(maker, 70);
    unsigned span = chance(maker, 50) ? 256 : 3;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(span == 256 ? pick(maker, span) : 'a' + pick(maker, span));
    grammar_add(maker->command, base_bytes_of(bytes, size));
}

static void add_integer(struct maker *maker)
{
    static const char *const edges[] = {"0",
                                        "1",
                                        "-1",
                                        "255",
                                        "-128",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "-9223372036854775807",
                                        "4611686018427387904",
                                        "4294967296",
                                        "2147483647"};
    char text[24];
    if (chance(maker, 50)) {
        add_text(maker, PICK(maker, edges));
        return;
    }
    int64_t number = (int64_t)(base_prng_next(maker->prng) >> pick(maker, 64));
    snprintf(text, sizeof(text), "%lld", (long long)number);
    add_text(maker, text);
}

/* Of a bit or byte that a write may bring about, so none far away. */
static void add_offset(struct maker *maker)
{
    static const char *const edges[] = {"0",          "1",  "7",   "8",    "-1",
                                        "4294967296", "64", "100", "5000", "9223372036854775807"};
    char text[24];
    snprintf(text, sizeof(text), "%u", (unsigned)pick(maker, 200));
    add_text(maker, chance(maker, 40) ? PICK(maker, edges) : text);
}

static void add_index(struct maker *maker)
{
    static const char *const edges[] = {"0",          "-1",          "1",
                                        "-2",         "100",         "9223372036854775807",
                                        "2147483648", "-2147483649", "-9223372036854775808"};
    char text[24];
    snprintf(text, sizeof(text), "%d", (int)pick(maker, 60) - 30);
    add_text(maker, chance(maker, 40) ? PICK(maker, edges) : text);
}

/* Numbers whose sums are exact in binary too, mostly: what is not is told apart by its reply. */
static void add_decimal(struct maker *maker)
{
    static const char *const edges[] = {"0",     "-0",   "0.1",   "1e3",        "-2.5e2", "5.",
                                        "+3",    ".5",   "1e400", "1e5000",     "inf",    "-inf",
                                        "1e-20", "3e17", "0x1p3", "Infinity",   "1e",     "1.2.3",
                                        "--1",   "nan",  " 1",    "1e99999999", "1E2",    "-.25"};
    char text[48];
    snprintf(text, sizeof(text), "%s%u.%s", chance(maker, 50) ? "-" : "",
             (unsigned)pick(maker, 100000),
             (const char *[]){"5", "25", "125", "0"}[pick(maker, 4)]);
    add_text(maker, chance(maker, 40) ? PICK(maker, edges) : text);
}

/* Far from now, ten seconds apart and hardly twice the same: of two equal ones, which is later
 * would depend on the millisecond. */
static void add_time(struct maker *maker, bool unix_time, bool milliseconds)
{
    static const char *const edges[] = {"-1",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "9223372036854776",
                                        "9223372036854775",
                                        "100000000000000"};
    char text[24];
    uint64_t seconds = 10000 + pick(maker, 1000000) * 10;
    if (unix_time)
        seconds = chance(maker, 10) ? 1 + pick(maker, 1000000000) : seconds + 9900000000;
    snprintf(text, sizeof(text), "%llu%s", (unsigned long long)seconds, milliseconds ? "000" : "");
    add_text(maker, chance(maker, 10) ? PICK(maker, edges) : text);
}

static void add_pattern(struct maker *maker)
{
    static const char *const patterns[] = {
        "*",    "*a",  "l?a", "?l?}[a-c]", "*[^a]",  "l*",  "{l*",     "\\{*",   "*[c-a]", "nope",
        "[l]*", "*\\", "",    "*[",        "l1[abc", "**a", "*[\\a]*", "*[a-]*", "*]",     "[^l]*"};
    add_text(maker, PICK(maker, patterns));
}

static void add_bitfield(struct maker *maker, bool offset)
{
    static const char *const wrong_types[] = {"u64", "i65", "u0", "i0", "x8", "u", "8", "i064"};
    static const char *const wrong_offsets[] = {
        "-1", "#-1", "#", "abc", "#x", "4294967296", "#9999999999999999999"};
    char text[24];
    if (offset)
        snprintf(text, sizeof(text), "%s%u", chance(maker, 40) ? "#" : "",
                 (unsigned)pick(maker, 40));
    else
        snprintf(text, sizeof(text), "%c%u", chance(maker, 50) ? 'u' : 'i',
                 (unsigned)pick(maker, 63) + 1);
    if (maker->wild && chance(maker, 10))
        add_text(maker, offset ? PICK(maker, wrong_offsets) : PICK(maker, wrong_types));
    else
        add_text(maker, text);
}

/* What DUMP gives for a value, sometimes damaged. */
static void add_dump(struct maker *maker)
{
    struct router_buffer dump = router_buffer_empty(base_allocator_system());
    add_value(maker);
    struct grammar_command *command = maker->command;
    struct base_bytes value = grammar_word(command, command->count - 1);
    router_dump_write(value, &dump);
    if (chance(maker, 15))
        dump.data[pick(maker, dump.size)] ^= (uint8_t)(1U << pick(maker, 8));
    if (chance(maker, 5))
        dump.size = pick(maker, dump.size);
    command->used -= value.size;
    command->count--;
    grammar_add(command, base_bytes_of(dump.data, dump.size));
    router_buffer_fini(&dump);
}

static void add_key(struct maker *maker)
{
    char key[24];
    grammar_key(key, maker->lane, (unsigned)pick(maker, GRAMMAR_KEYS));
    add_text(maker, key);
}

static void add_class(struct maker *maker, char class)
{
    if (maker->wild && class != 'k' && class != 'd' && class != 'p' && chance(maker, 20)) {
        add_text(maker, PICK(maker, wrong));
        return;
    }
    switch (class) {
    case 'k':
        add_key(maker);
        break;
    case 'v':
        add_value(maker);
        break;
    case 'i':
        add_integer(maker);
        break;
    case 'f':
        add_decimal(maker);
        break;
    case 'o':
        add_offset(maker);
        break;
    case 'r':
        add_index(maker);
        break;
    case 'b':
        add_text(maker, chance(maker, 50) ? "1" : "0");
        break;
    case 'p':
        add_pattern(maker);
        break;
    case 't':
    case 'x':
        add_bitfield(maker, class == 'x');
        break;
    case 'd':
        add_dump(maker);
        break;
    default:
        CLUSTER_CHECK(memchr("smSM", class, 4) != NULL);
        add_time(maker, class == 'S' || class == 'M', class == 'm' || class == 'M');
    }
}

static void expand(struct maker *maker, const char *at, const char *end);

/* One of the alternatives between `at` and `end`, which hold no others. */
static void choose(struct maker *maker, const char *at, const char *end)
{
    size_t count = 1, depth = 0;
    for (const char *bar = at; bar < end; bar++) {
        depth += *bar == '{' ? 1U : 0U;
        depth -= *bar == '}' ? 1U : 0U;
        count += *bar == '|' && depth == 0 ? 1U : 0U;
    }
    size_t chosen = pick(maker, count);
    const char *stop = at;
    for (;; at = ++stop) {
        for (depth = 0; stop < end && (depth > 0 || *stop != '|'); stop++)
            depth += *stop == '{' ? 1U : *stop == '}' ? (size_t)-1 : 0U;
        if (chosen-- == 0)
            break;
    }
    expand(maker, at, stop);
}

static void repeat(struct maker *maker, char sign, const char *at, const char *end)
{
    size_t times = 1;
    if (sign == '?')
        times = pick(maker, 3) > 0;
    if (sign == '*')
        times = pick(maker, 4);
    if (sign == '+')
        times = 1 + pick(maker, 4);
    while (times-- > 0)
        choose(maker, at, end);
}

static const char *group_end(const char *at)
{
    size_t depth = 0;
    for (;; at++) {
        CLUSTER_CHECK(*at != '\0');
        if (*at == '{')
            depth++;
        else if (*at == '}' && --depth == 0)
            return at;
    }
}

static void expand(struct maker *maker, const char *at, const char *end)
{
    while (at < end) {
        const char *open = *at == '{' ? at : at + 1;
        if (*at == ' ') {
            at++;
        } else if (*at == '%') {
            add_class(maker, at[1]);
            at += 2;
        } else if (*open == '{' && memchr("{?*+", *at, 4) != NULL) {
            const char *close = group_end(open);
            repeat(maker, *at, open + 1, close);
            at = close + 1;
        } else {
            const char *stop = at;
            while (stop < end && *stop != ' ')
                stop++;
            grammar_add(maker->command, base_bytes_of(at, (size_t)(stop - at)));
            at = stop;
        }
    }
}

/* A word too few, too many, or twice. */
static void spoil(struct maker *maker, size_t fixed)
{
    struct grammar_command *command = maker->command;
    switch (pick(maker, 3)) {
    case 0:
        if (command->count > fixed)
            command->count--;
        break;
    case 1:
        add_text(maker, PICK(maker, wrong));
        break;
    default:
        if (command->count > fixed)
            grammar_add(command,
                        grammar_word(command, fixed + pick(maker, command->count - fixed)));
    }
}

const struct grammar *grammar_of(const char *name)
{
    size_t count;
    const struct grammar *table = grammar_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    }
    return NULL;
}

const char *grammar_missing(void)
{
    size_t count;
    const struct grammar *table = grammar_table(&count);
    for (unsigned id = 0; id < ROUTER_COMMAND_TABLE_SIZE; id++) {
        const char *name = router_command_at((enum router_command_id)id)->name;
        if (grammar_of(name) == NULL)
            return name;
    }
    for (size_t i = 0; i < count; i++) {
        if (router_command_find_full(base_bytes_text(table[i].name)) == NULL)
            return table[i].name;
    }
    return NULL;
}

/* Commands on keys come ten times as often as the others. */
static const struct grammar *random_grammar(struct base_prng *prng, bool alone)
{
    size_t count;
    const struct grammar *table = grammar_table(&count);
    for (;;) {
        const struct grammar *grammar = &table[base_prng_range(prng, 0, count - 1)];
        bool keys = strncmp(grammar->words, "%k", 2) == 0 || strstr(grammar->words, "{%k") != NULL;
        if (grammar->use == GRAMMAR_NEVER || (grammar->use == GRAMMAR_ALONE && !alone))
            continue;
        if (keys || grammar->use == GRAMMAR_ALONE || base_prng_chance(prng, 1, 10))
            return grammar;
    }
}

void grammar_make(struct grammar_command *command, struct base_prng *prng, unsigned lane,
                  bool alone)
{
    struct maker maker = {.command = command, .prng = prng, .lane = lane};
    const struct grammar *grammar = random_grammar(prng, alone);
    const char *bar = strchr(grammar->name, '|');
    command->grammar = grammar;
    command->count = command->used = 0;
    if (bar == NULL) {
        add_text(&maker, grammar->name);
    } else {
        grammar_add(command, base_bytes_of(grammar->name, (size_t)(bar - grammar->name)));
        add_text(&maker, bar + 1);
    }
    size_t fixed = command->count;
    maker.wild = grammar->use != GRAMMAR_EXACT && chance(&maker, 20);
    expand(&maker, grammar->words, grammar->words + strlen(grammar->words));
    if (grammar->use != GRAMMAR_EXACT && chance(&maker, 4))
        spoil(&maker, fixed);
}

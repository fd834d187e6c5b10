/*
 * A cluster beside redis-server: random commands of every row of the router's table, in RESP2 and
 * RESP3, in pipelines and inline, over many connections; every reply is the same, or differs in a
 * way that is known. Which and how many: --seed and --commands, or TORC_DIFFER_SEED and
 * TORC_DIFFER_COMMANDS.
 *
 * A lane is a few keys and a few connections. Lanes run side by side; a lane's connections take
 * turns, so that there is one right answer. An epoch of a lane begins with no keys.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "router/command.h"
#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/grammar.h"
#include "tests/cluster/lib/known.h"
#include "tests/cluster/lib/redis.h"

enum {
    LANES = 16,
    CONNECTIONS = 3,
    ROUNDS = 12, /* Of an epoch; a lane sends a pipeline in each. */
    PIPELINE_MAX = 24,
    LOG_MAX = CONNECTIONS + ROUNDS * PIPELINE_MAX + 2 * GRAMMAR_KEYS,
    ENCODED_MAX = 4 * GRAMMAR_TEXT_MAX + 64 * GRAMMAR_WORDS_MAX,
    SHOWN_MAX = 20, /* Differences of a run. */
    SHOWN_OF_COMMAND_MAX = 2,
    INLINE_PERCENT = 15,
    WITNESS_TRIES = 50,
    DECIMALS = 20,
    DECIMAL_SIZE = 48,
};

struct entry {
    struct grammar_command command;
    unsigned connection;
    bool inlined;
};

struct lane {
    unsigned number;
    struct base_prng prng;
    struct redis_peer torc[CONNECTIONS], redis[CONNECTIONS];
    struct entry log[LOG_MAX]; /* Of this epoch. */
    size_t count, compared;
    bool over; /* This epoch ends early: an explained difference, or a closed connection. */
};

static struct lane lanes[LANES];
static uint16_t torc_port, redis_port;
static uint64_t seed, commands_done, differences_known;
static unsigned differences, differences_more;

/* `--NAME N`, else the variable, else what is usual. */
static uint64_t option(char **argv, const char *name, const char *variable, uint64_t usual)
{
    const char *text = getenv(variable);
    for (char **word = argv + 1; word[0] != NULL && word[1] != NULL; word++) {
        if (strcmp(word[0], name) == 0)
            text = word[1];
    }
    return text == NULL ? usual : strtoull(text, NULL, 10);
}

/* ---- Commands as bytes ----------------------------------------------------------------------- */

static size_t put_quoted(char *out, struct base_bytes word)
{
    size_t size = 0;
    out[size++] = '"';
    for (size_t i = 0; i < word.size; i++) {
        uint8_t byte = word.data[i];
        if (byte < ' ' || byte >= 127 || byte == '"' || byte == '\\')
            size += (size_t)snprintf(out + size, 5, "\\x%02x", byte);
        else
            out[size++] = (char)byte;
    }
    out[size++] = '"';
    return size;
}

static size_t encode(const struct entry *entry, char out[ENCODED_MAX])
{
    const struct grammar_command *command = &entry->command;
    size_t size = 0;
    if (!entry->inlined)
        size = (size_t)snprintf(out, 16, "*%zu\r\n", command->count);
    for (size_t i = 0; i < command->count; i++) {
        struct base_bytes word = grammar_word(command, i);
        if (entry->inlined) {
            size += put_quoted(out + size, word);
            out[size++] = ' ';
            continue;
        }
        size += (size_t)snprintf(out + size, 16, "$%zu\r\n", word.size);
        memcpy(out + size, word.data, word.size);
        size += word.size;
        memcpy(out + size, "\r\n", 2);
        size += 2;
    }
    if (entry->inlined) {
        memcpy(out + size, "\r\n", 2);
        size += 2;
    }
    return size;
}

static void show(const struct entry *entry)
{
    static char text[ENCODED_MAX];
    struct entry shown = *entry;
    shown.inlined = true;
    size_t size = encode(&shown, text);
    printf("  %u%s> %.*s\n", entry->connection, entry->inlined ? " inline" : "", (int)size - 3,
           text);
}

static void show_reply(const char *whose, struct base_bytes reply)
{
    static char text[4 * REDIS_REPLY_MAX + 2];
    size_t size = put_quoted(text, reply);
    printf("  %s %.*s\n", whose, size > 2000 ? 2000 : (int)size, text);
}

/* ---- A lane ---------------------------------------------------------------------------------- */

static void send_both(struct lane *lane, const struct entry *entry)
{
    static char text[ENCODED_MAX];
    struct base_bytes bytes = base_bytes_of(text, encode(entry, text));
    redis_send(&lane->torc[entry->connection], bytes);
    redis_send(&lane->redis[entry->connection], bytes);
}

/* A line to both, whose replies nobody looks at. */
static void tell(struct lane *lane, unsigned connection, const char *line)
{
    redis_send(&lane->torc[connection], base_bytes_text(line));
    redis_send(&lane->redis[connection], base_bytes_text(line));
    redis_reply(&lane->torc[connection]);
    redis_reply(&lane->redis[connection]);
}

static void dial(struct lane *lane)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        redis_dial(&lane->torc[i], torc_port);
        redis_dial(&lane->redis[i], redis_port);
    }
}

/* No keys, and connections as they are when new. */
static void clear(struct lane *lane, bool redial, bool alone)
{
    char line[256] = "DEL", key[24];
    size_t size = strlen(line);
    if (redial)
        dial(lane);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        tell(lane, i, "RESET\r\n");
    for (unsigned i = 0; i < GRAMMAR_KEYS; i++) {
        grammar_key(key, lane->number, i);
        size += (size_t)snprintf(line + size, sizeof(line) - size, " %s", key);
    }
    snprintf(line + size, sizeof(line) - size, "\r\n");
    tell(lane, 0, alone ? "FLUSHALL\r\n" : line);
}

static struct entry *add_entry(struct lane *lane, unsigned connection)
{
    CLUSTER_CHECK(lane->count < LOG_MAX);
    struct entry *entry = &lane->log[lane->count++];
    entry->connection = connection;
    entry->inlined = base_prng_chance(&lane->prng, INLINE_PERCENT, 100);
    return entry;
}

static void send_pipeline(struct lane *lane, bool alone)
{
    unsigned connection = (unsigned)base_prng_range(&lane->prng, 0, CONNECTIONS - 1);
    uint64_t count = base_prng_range(&lane->prng, 1, PIPELINE_MAX);
    for (uint64_t i = 0; i < count && !lane->over; i++) {
        struct entry *entry = add_entry(lane, connection);
        grammar_make(&entry->command, &lane->prng, lane->number, alone);
        lane->over = entry->command.grammar->reply == GRAMMAR_CLOSES;
        send_both(lane, entry);
    }
}

static void send_words(struct lane *lane, unsigned connection, const char *name, const char *word)
{
    struct entry *entry = add_entry(lane, connection);
    entry->command.grammar = grammar_of(name);
    entry->command.count = entry->command.used = 0;
    grammar_add(&entry->command, base_bytes_text(name));
    grammar_add(&entry->command, base_bytes_text(word));
    send_both(lane, entry);
}

/* Half of the connections speak RESP3. */
static void send_first(struct lane *lane)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (base_prng_chance(&lane->prng, 1, 2))
            send_words(lane, i, "hello", "3");
    }
}

/* What all keys hold in the end, and how long. */
static void send_last(struct lane *lane)
{
    for (unsigned i = 0; i < GRAMMAR_KEYS && !lane->over; i++) {
        char key[24];
        grammar_key(key, lane->number, i);
        send_words(lane, 0, "get", key);
        send_words(lane, 0, "pttl", key);
    }
}

/* ---- Differences ----------------------------------------------------------------------------- */

enum outcome { SAME, EXPLAINED, DIFFERENT };

_Noreturn static void no_reply(const struct lane *lane, const struct entry *entry,
                               const char *whose)
{
    for (const struct entry *before = lane->log; before <= entry; before++)
        show(before);
    cluster_fail("seed %llu: %s does not reply to the last of these", (unsigned long long)seed,
                 whose);
}

static enum outcome compare(struct lane *lane, const struct entry *entry,
                            struct base_bytes *ret_torc, struct base_bytes *ret_redis)
{
    *ret_torc = redis_reply(&lane->torc[entry->connection]);
    *ret_redis = redis_reply(&lane->redis[entry->connection]);
    if (ret_torc->data == NULL || ret_redis->data == NULL)
        no_reply(lane, entry, ret_torc->data == NULL ? "torc" : "redis");
    if (known_same(entry->command.grammar, *ret_torc, *ret_redis))
        return SAME;
    const struct known *known = known_of(&entry->command, *ret_torc, *ret_redis);
    if (known == NULL)
        return DIFFERENT;
    differences_known++;
    return known->harmless ? SAME : EXPLAINED;
}

/* Whether those of the log that are kept still end in a difference, one after the other. */
static bool differs_still(struct lane *lane, const bool *kept, bool alone, bool shown)
{
    struct base_bytes torc, redis;
    clear(lane, true, alone);
    for (size_t i = 0; i < lane->count; i++) {
        if (!kept[i])
            continue;
        send_both(lane, &lane->log[i]);
        enum outcome outcome = compare(lane, &lane->log[i], &torc, &redis);
        if (shown)
            show(&lane->log[i]);
        if (shown && outcome == DIFFERENT) {
            show_reply("torc: ", torc);
            show_reply("redis:", redis);
        }
        if (outcome != SAME)
            return outcome == DIFFERENT;
        if (lane->log[i].command.grammar->reply == GRAMMAR_CLOSES)
            return false;
    }
    return false;
}

/* Takes away what the difference does not need, halves first, and shows the rest. */
static void shrink(struct lane *lane, bool alone)
{
    bool kept[LOG_MAX], tried[LOG_MAX];
    memset(kept, 1, sizeof(kept));
    if (!differs_still(lane, kept, alone, false)) {
        printf("  not again one by one, so only in pipelines:\n");
        for (size_t i = 0; i < lane->count; i++)
            show(&lane->log[i]);
        return;
    }
    for (size_t step = lane->count; step > 0; step /= 2) {
        for (size_t at = 0; at < lane->count; at += step) {
            memcpy(tried, kept, sizeof(tried));
            memset(tried + at, 0, step < lane->count - at ? step : lane->count - at);
            if (differs_still(lane, tried, alone, false))
                memcpy(kept, tried, sizeof(kept));
        }
    }
    differs_still(lane, kept, alone, true);
}

static void report(struct lane *lane, const struct entry *entry, struct base_bytes torc,
                   struct base_bytes redis, uint64_t epoch, bool alone)
{
    printf("difference %u, seed %llu, epoch %llu, lane %u:\n", ++differences,
           (unsigned long long)seed, (unsigned long long)epoch, lane->number);
    show(entry);
    show_reply("torc: ", torc);
    show_reply("redis:", redis);
    printf(" by these:\n");
    lane->count = lane->compared = (size_t)(entry - lane->log) + 1;
    shrink(lane, alone);
    fflush(stdout);
    if (differences == SHOWN_MAX)
        cluster_fail("%u differences", differences);
}

/* Of one command some differences are shown and the others counted. */
static bool seen_enough(const struct entry *entry)
{
    static unsigned seen[ROUTER_COMMAND_TABLE_SIZE];
    struct base_bytes name = base_bytes_text(entry->command.grammar->name);
    return ++seen[router_command_find_full(name)->id] > SHOWN_OF_COMMAND_MAX;
}

static void compare_sent(struct lane *lane, uint64_t epoch, bool alone)
{
    bool told = false;
    for (; lane->compared < lane->count; lane->compared++) {
        struct entry *entry = &lane->log[lane->compared];
        struct base_bytes torc, redis;
        enum outcome outcome = compare(lane, entry, &torc, &redis);
        commands_done++;
        if (outcome == SAME || told)
            continue;
        lane->over = told = true;
        if (outcome == DIFFERENT && seen_enough(entry)) {
            differences_more++;
        } else if (outcome == DIFFERENT) {
            report(lane, entry, torc, redis, epoch, alone);
            return;
        }
    }
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

static void run_epoch(uint64_t epoch, unsigned lane_count, bool alone)
{
    for (unsigned i = 0; i < lane_count; i++) {
        struct lane *lane = &lanes[i];
        clear(lane, lane->over, alone);
        lane->number = i;
        lane->prng = base_prng_seeded(seed * 1000003 + epoch * LANES + i);
        lane->count = lane->compared = 0;
        lane->over = false;
        send_first(lane);
    }
    for (unsigned round = 0; round <= ROUNDS; round++) {
        for (unsigned i = 0; i < lane_count; i++) {
            if (round == ROUNDS)
                send_last(&lanes[i]);
            else if (!lanes[i].over)
                send_pipeline(&lanes[i], alone);
        }
        for (unsigned i = 0; i < lane_count; i++)
            compare_sent(&lanes[i], epoch, alone);
    }
}

/* Sends the lines of a text; the replies to the last are still there when this returns. */
static void send_witness(struct lane *lane, const char *at, struct base_bytes *ret_torc,
                         struct base_bytes *ret_redis)
{
    while (at != NULL) {
        const char *end = strchr(at, '\n');
        char line[256];
        int size = end == NULL ? (int)strlen(at) : (int)(end - at);
        snprintf(line, sizeof(line), "%.*s\r\n", size, at);
        redis_send(&lane->torc[0], base_bytes_text(line));
        redis_send(&lane->redis[0], base_bytes_text(line));
        *ret_torc = redis_reply(&lane->torc[0]);
        *ret_redis = redis_reply(&lane->redis[0]);
        at = end == NULL ? NULL : end + 1;
    }
}

/* Every known difference is still one, if not at once (Redis removes expired keys when it likes).
 */
static void check_known(struct lane *lane)
{
    size_t count;
    const struct known *table = known_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct base_bytes torc = {0}, redis = {0};
        bool differs = false;
        for (unsigned tries = 0; tries < WITNESS_TRIES && !differs; tries++) {
            clear(lane, true, true);
            send_witness(lane, table[i].witness, &torc, &redis);
            CLUSTER_CHECK(torc.data != NULL && redis.data != NULL);
            differs = !base_bytes_equal(torc, redis) &&
                      known_explains(&table[i], table[i].command, table[i].number_min, torc, redis);
        }
        if (differs)
            continue;
        show_reply("torc: ", torc);
        show_reply("redis:", redis);
        cluster_fail("no longer a known difference: %s", table[i].witness);
    }
    clear(lane, true, true);
}

/* ---- INCRBYFLOAT ----------------------------------------------------------------------------- */

__extension__ typedef __int128 wide; /* Of 10^-17. */

/* A number of up to 17 digits before the point and behind it, as text too. */
static wide random_decimal(struct base_prng *prng, char text[DECIMAL_SIZE])
{
    static const uint64_t one = UINT64_C(100000000000000000); /* 10^17 */
    uint64_t whole = base_prng_next(prng) >> base_prng_range(prng, 7, 63);
    uint64_t digits = base_prng_range(prng, 0, 17), part = base_prng_next(prng) % one;
    uint64_t cut = 1;
    for (uint64_t i = digits; i < 17; i++)
        cut *= 10;
    part = cut >= one ? 0 : part / cut * cut;
    bool negative = base_prng_chance(prng, 1, 2);
    snprintf(text, DECIMAL_SIZE, "%s%llu.%017llu", negative ? "-" : "", (unsigned long long)whole,
             (unsigned long long)part);
    wide number = (wide)whole * one + part;
    return negative ? -number : number;
}

static void decimal_text(wide number, char text[DECIMAL_SIZE])
{
    const wide one = (wide)UINT64_C(100000000000000000);
    wide size = number < 0 ? -number : number;
    snprintf(text, DECIMAL_SIZE, "%s%llu.%017llu", number < 0 ? "-" : "",
             (unsigned long long)(size / one), (unsigned long long)(size % one));
    size_t end = strlen(text);
    while (text[end - 1] == '0')
        end--;
    text[text[end - 1] == '.' ? end - 1 : end] = '\0';
}

/* Sums of random decimals: torc's are exact, and Redis's nearly the same. */
static void compare_decimals(struct lane *lane, uint64_t epoch)
{
    struct base_prng prng = base_prng_seeded(seed * 1000003 + epoch);
    clear(lane, lane->over, false);
    lane->over = false;
    for (unsigned i = 0; i < DECIMALS; i++) {
        char a[DECIMAL_SIZE], b[DECIMAL_SIZE], text[DECIMAL_SIZE], line[256],
            right[DECIMAL_SIZE + 16];
        struct base_bytes torc, redis;
        wide exact = random_decimal(&prng, a);
        exact += random_decimal(&prng, b);
        decimal_text(exact, text);
        snprintf(right, sizeof(right), "$%zu\r\n%s\r\n", strlen(text), text);
        snprintf(line, sizeof(line), "SET f %s\nINCRBYFLOAT f %s", a, b);
        send_witness(lane, line, &torc, &redis);
        commands_done += 2;
        CLUSTER_CHECK(torc.data != NULL && redis.data != NULL);
        if (!base_bytes_equal(torc, base_bytes_text(right)) ||
            !known_nearly(torc, redis, fabsl(strtold(a, NULL)) + fabsl(strtold(b, NULL)))) {
            show_reply("torc: ", torc);
            show_reply("redis:", redis);
            cluster_fail("seed %llu: %s + %s is %s", (unsigned long long)seed, a, b, text);
        }
    }
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    if (!redis_installed()) {
        printf("SKIPPED: redis-server is not installed\n");
        return 0;
    }
    if (grammar_missing() != NULL)
        cluster_fail("no generator for %s: grammar_table.c and command.c differ",
                     grammar_missing());
    if (argc % 2 == 0)
        cluster_fail("options: --seed N, --commands N");
    seed = option(argv, "--seed", "TORC_DIFFER_SEED", 1);
    uint64_t wanted = option(argv, "--commands", "TORC_DIFFER_COMMANDS", 40000);
    cluster_start(&cluster, &(struct cluster_options){0});
    torc_port = cluster.port;
    pid_t pid = redis_start(cluster.scratch, &redis_port);
    for (unsigned i = 0; i < LANES; i++)
        dial(&lanes[i]);
    check_known(&lanes[0]);
    for (uint64_t epoch = 0; commands_done < wanted; epoch++) {
        run_epoch(2 * epoch, LANES, false);
        run_epoch(2 * epoch + 1, 1, true);
        compare_decimals(&lanes[1], epoch);
    }
    printf("seed %llu: %llu commands, %llu known differences, %u others\n",
           (unsigned long long)seed, (unsigned long long)commands_done,
           (unsigned long long)differences_known, differences);
    redis_stop(pid);
    if (differences > 0)
        cluster_fail("%u differences, and %u more of the same commands", differences,
                     differences_more);
    cluster_stop(&cluster);
    return 0;
}

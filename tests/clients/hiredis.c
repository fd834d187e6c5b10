/* hiredis against a router; conduct.c says how this is run. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    KEYS = 10000,
    PIPELINE = 1000,
    BIG = 1 << 20,
    VALUE_SIZE_MAX = 8 << 20,
    MORE = 200, /* Acknowledged writes after what happened has happened. */
    LOAD_MAX = 1 << 20,
    WAIT_S = 30,
};

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0                                                                         \
                 : (fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition),  \
                    exit(1)))

static long number_of(const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    CHECK(errno == 0 && end != text && *end == '\0');
    return number;
}

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static bool is_text(const redisReply *reply, const char *text)
{
    return reply != NULL &&
           (reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_STRING) &&
           reply->len == strlen(text) && memcmp(reply->str, text, reply->len) == 0;
}

static bool is_error(const redisReply *reply, const char *part)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR && strstr(reply->str, part) != NULL;
}

/* The answer to a command, which must come; the caller frees it. */
static redisReply *ask(redisContext *redis, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(redis, format, arguments);
    va_end(arguments);
    if (reply == NULL)
        fprintf(stderr, "%s: %s\n", format, redis->errstr);
    CHECK(reply != NULL);
    return reply;
}

static long long ask_integer(redisContext *redis, const char *command)
{
    redisReply *reply = ask(redis, command);
    CHECK(reply->type == REDIS_REPLY_INTEGER);
    long long integer = reply->integer;
    freeReplyObject(reply);
    return integer;
}

static void ask_ok(redisContext *redis, const char *command)
{
    redisReply *reply = ask(redis, command);
    CHECK(is_text(reply, "OK"));
    freeReplyObject(reply);
}

static redisReply *next(redisContext *redis)
{
    void *reply = NULL;
    CHECK(redisGetReply(redis, &reply) == REDIS_OK && reply != NULL);
    return reply;
}

/* ---- What is tried --------------------------------------------------------------------------- */

static void start_up(redisContext *redis)
{
    redisReply *reply = ask(redis, "HELLO 2");
    CHECK(reply->type == REDIS_REPLY_ARRAY && is_text(reply->element[0], "server"));
    freeReplyObject(reply);
    reply = ask(redis, "INFO");
    CHECK(reply->type == REDIS_REPLY_STRING && strstr(reply->str, "redis_version:7.") != NULL);
    freeReplyObject(reply);
    reply = ask(redis, "COMMAND");
    CHECK(reply->type == REDIS_REPLY_ARRAY);
    CHECK((long long)reply->elements == ask_integer(redis, "COMMAND COUNT"));
    freeReplyObject(reply);
    reply = ask(redis, "CLUSTER SLOTS");
    CHECK(is_error(reply, "cluster support disabled"));
    freeReplyObject(reply);
    ask_ok(redis, "CLIENT SETNAME matrix");
    ask_ok(redis, "CLIENT SETINFO LIB-NAME hiredis");
}

static void pipeline(redisContext *redis)
{
    char text[16];
    for (int i = 0; i < PIPELINE; i += 2) {
        CHECK(redisAppendCommand(redis, "SET pipe:%d %d", i, i) == REDIS_OK);
        CHECK(redisAppendCommand(redis, "GET pipe:%d", i) == REDIS_OK);
    }
    for (int i = 0; i < PIPELINE; i++) {
        redisReply *reply = next(redis);
        snprintf(text, sizeof(text), "%d", i - 1);
        CHECK(is_text(reply, i % 2 == 0 ? "OK" : text));
        freeReplyObject(reply);
    }
    for (int i = 0; i < PIPELINE; i++)
        CHECK(redisAppendCommand(redis, "INCR pipe:n") == REDIS_OK);
    for (int i = 0; i < PIPELINE; i++) {
        redisReply *reply = next(redis);
        CHECK(reply->type == REDIS_REPLY_INTEGER && reply->integer == i + 1);
        freeReplyObject(reply);
    }
    ask_ok(redis, "FLUSHALL");
}

static void scan(redisContext *redis)
{
    static bool seen[KEYS];
    char cursor[32] = "0";
    int found = 0;
    for (int i = 0; i < KEYS; i++)
        CHECK(redisAppendCommand(redis, "SET scan:%d 1", i) == REDIS_OK);
    for (int i = 0; i < KEYS; i++) {
        redisReply *reply = next(redis);
        CHECK(is_text(reply, "OK"));
        freeReplyObject(reply);
    }
    CHECK(ask_integer(redis, "DBSIZE") == KEYS);
    do {
        redisReply *reply = ask(redis, "SCAN %s COUNT 1000", cursor);
        CHECK(reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            const char *key = reply->element[1]->element[i]->str;
            CHECK(strncmp(key, "scan:", 5) == 0);
            long number = number_of(key + 5);
            CHECK(number >= 0 && number < KEYS);
            found += !seen[number];
            seen[number] = true;
        }
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);
    CHECK(found == KEYS);
}

static void big_values(redisContext *redis)
{
    char *value = malloc(VALUE_SIZE_MAX + 1);
    CHECK(value != NULL);
    memset(value, 'v', VALUE_SIZE_MAX + 1);
    long long id = ask_integer(redis, "CLIENT ID");
    redisReply *reply = ask(redis, "SET big %b", value, (size_t)BIG);
    CHECK(is_text(reply, "OK"));
    freeReplyObject(reply);
    reply = ask(redis, "SET big %b", value, (size_t)VALUE_SIZE_MAX + 1);
    CHECK(is_error(reply, "value_size_max"));
    freeReplyObject(reply);
    reply = ask(redis, "GET big");
    CHECK(reply->type == REDIS_REPLY_STRING && reply->len == BIG);
    CHECK(memcmp(reply->str, value, BIG) == 0);
    freeReplyObject(reply);
    CHECK(ask_integer(redis, "CLIENT ID") == id);
    free(value);
}

static void expiry(redisContext *redis)
{
    time_t deadline = now_s() + WAIT_S;
    ask_ok(redis, "SET long 1 EX 100");
    CHECK(ask_integer(redis, "PERSIST long") == 1 && ask_integer(redis, "TTL long") == -1);
    ask_ok(redis, "SET brief 1 PX 300");
    while (ask_integer(redis, "EXISTS brief") != 0)
        CHECK(now_s() < deadline);
    CHECK(ask_integer(redis, "TTL brief") == -2);
}

/* ---- What goes on over a kill ---------------------------------------------------------------- */

enum outcome { HAPPENED, DID_NOT, UNKNOWN };

/* Runs a command; a lost connection is made anew. */
static enum outcome attempt(redisContext *redis, const char *format, const char *name, int number)
{
    if (redis->err != 0 && redisReconnect(redis) != REDIS_OK) {
        poll(NULL, 0, 10);
        return DID_NOT;
    }
    redisReply *reply = redisCommand(redis, format, name, number, number);
    if (reply == NULL)
        return UNKNOWN;
    enum outcome outcome = HAPPENED;
    if (reply->type == REDIS_REPLY_ERROR) {
        outcome = strncmp(reply->str, "UNKNOWN", 7) == 0 ? UNKNOWN : DID_NOT;
        CHECK(outcome == UNKNOWN || strstr(reply->str, "nothing was done") != NULL);
    }
    freeReplyObject(reply);
    return outcome;
}

static bool said_done(void)
{
    char line[8];
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&ready, 1, 0) != 1)
        return false;
    CHECK(fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "done\n") == 0);
    return true;
}

/* Adds to a counter and writes keys once each while what is ordered happens, and a little longer.
 */
static void load(redisContext *redis, const char *order)
{
    static bool written[LOAD_MAX];
    int count = 0, added = 0, unknown = 0, wanted = LOAD_MAX;
    time_t deadline = now_s() + 2 * WAIT_S;
    memset(written, 0, sizeof(written));
    printf("%s\n", order);
    fflush(stdout);
    for (; added < wanted; count++) {
        CHECK(count < LOAD_MAX && now_s() < deadline);
        written[count] = attempt(redis, "SET %s:%d %d", order, count) == HAPPENED;
        enum outcome outcome = attempt(redis, "INCR %s", order, 0);
        added += outcome == HAPPENED;
        unknown += outcome == UNKNOWN;
        if (wanted == LOAD_MAX && said_done())
            wanted = added + MORE;
    }
    for (int i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        redisReply *reply = ask(redis, "GET %s:%d", order, i);
        CHECK(!written[i] || is_text(reply, text));
        freeReplyObject(reply);
    }
    redisReply *reply = ask(redis, "GET %s", order);
    CHECK(reply->type == REDIS_REPLY_STRING);
    printf("%s: acknowledged %d, unknown %d, counter %s\n", order, added, unknown, reply->str);
    CHECK(number_of(reply->str) >= added && number_of(reply->str) <= added + unknown);
    freeReplyObject(reply);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    if (strcmp(argv[1], "check") == 0)
        return 0;
    redisContext *redis = redisConnect("127.0.0.1", (int)number_of(argv[1]));
    CHECK(redis != NULL && redis->err == 0);
    printf("hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    start_up(redis);
    pipeline(redis);
    scan(redis);
    big_values(redis);
    expiry(redis);
    load(redis, "kill");
    load(redis, "router");
    redisFree(redis);
    return 0;
}

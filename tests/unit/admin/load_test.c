#include "admin/load.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/report.h"
#include "base/hash.h"
#include "tests/lib/test_body.h"

/*
 * A Redis server of one thread that knows SET, GET, DBSIZE and PING, and does what a test plans:
 * every `trouble_every`-th SET is answered with `trouble` instead, or, when that is "", the
 * connection is closed without an answer. A SET in trouble is done, so that a lost one shows only
 * if nobody repeats those that were not.
 */
enum { KEYS_MAX = 64, TEXT_SIZE = 64, KEYS = 40 };

static struct {
    int listen_fd;
    uint16_t port;
    pthread_t thread;
    const char *trouble;
    unsigned trouble_every, set_count;
    char keys[KEYS_MAX][TEXT_SIZE], values[KEYS_MAX][TEXT_SIZE];
    size_t count;
} server;

static size_t key_place(const char *key)
{
    size_t i = 0;
    while (i < server.count && strcmp(server.keys[i], key) != 0)
        i++;
    return i;
}

/* One word of a RESP command: "$3\r\nGET\r\n". */
static bool word_read(FILE *in, char word[TEXT_SIZE])
{
    unsigned size;
    if (fscanf(in, "$%u", &size) != 1 || size >= TEXT_SIZE || fgetc(in) != '\r' ||
        fgetc(in) != '\n' || fread(word, 1, size, in) != size || fgetc(in) != '\r' ||
        fgetc(in) != '\n')
        return false;
    word[size] = '\0';
    return true;
}

static void set_do(const char *key, const char *value)
{
    size_t i = key_place(key);
    snprintf(server.keys[i], TEXT_SIZE, "%s", key);
    snprintf(server.values[i], TEXT_SIZE, "%s", value);
    if (i == server.count)
        server.count++;
}

/* False: close the connection. */
static bool command_answer(char words[3][TEXT_SIZE], FILE *out)
{
    if (strcmp(words[0], "SET") == 0) {
        bool trouble = server.trouble_every > 0 && ++server.set_count % server.trouble_every == 0;
        if (trouble && server.trouble[0] == '\0')
            return false;
        if (!trouble)
            set_do(words[1], words[2]);
        fprintf(out, trouble ? "-%s\r\n" : "+OK\r\n", server.trouble);
    } else if (strcmp(words[0], "GET") == 0) {
        size_t i = key_place(words[1]);
        if (i == server.count)
            fprintf(out, "$-1\r\n");
        else
            fprintf(out, "$%zu\r\n%s\r\n", strlen(server.values[i]), server.values[i]);
    } else if (strcmp(words[0], "DBSIZE") == 0) {
        fprintf(out, ":%zu\r\n", server.count);
    } else {
        fprintf(out, "+PONG\r\n");
    }
    return true;
}

static void connection_serve(int fd)
{
    FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
    char words[3][TEXT_SIZE];
    unsigned count;
    bool open = true;
    while (open && fscanf(in, "*%u", &count) == 1 && count >= 1 && count <= 3 &&
           fgetc(in) == '\r' && fgetc(in) == '\n') {
        for (unsigned i = 0; i < count && open; i++)
            open = word_read(in, words[i]);
        open = open && command_answer(words, out);
        fflush(out);
    }
    fclose(in);
    fclose(out);
}

static void *server_main(void *context)
{
    (void)context;
    for (int fd; (fd = accept(server.listen_fd, NULL, NULL)) >= 0;)
        connection_serve(fd);
    return NULL;
}

static struct admin_dataset dataset;
static volatile sig_atomic_t stop;

static void set_up(void)
{
    signal(SIGPIPE, SIG_IGN); /* As `dev up` does: a lost connection is an error, no end. */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    server.listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(server.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(server.listen_fd, 8), 0);
    cr_assert_eq(getsockname(server.listen_fd, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&server.thread, NULL, server_main, NULL), 0);
    char *text = NULL;
    size_t text_size, line;
    FILE *out = open_memstream(&text, &text_size);
    for (int i = 0; i < KEYS; i++)
        fprintf(out, "key%d\tvalue %d\n", i, i);
    fclose(out);
    cr_assert_null(admin_dataset_parse((uint8_t *)text, text_size, &dataset, &line));
}

static void tear_down(void)
{
    shutdown(server.listen_fd, SHUT_RDWR);
    close(server.listen_fd);
    pthread_join(server.thread, NULL);
    admin_dataset_free(&dataset);
}

static struct admin_load_result expect_loaded(void)
{
    struct admin_load_result result = {0, 0};
    cr_assert_eq(admin_load_run(server.port, &dataset, &stop, &result), 0);
    cr_assert_eq(server.count, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        char key[TEXT_SIZE], value[TEXT_SIZE];
        snprintf(key, sizeof(key), "key%zu", i);
        snprintf(value, sizeof(value), "value %zu", i);
        cr_assert_str_eq(server.values[key_place(key)], value);
    }
    return result;
}

/* Every key arrives with its value, each sent once. */
TEST_BODY(load, all_keys_arrive, set_up, tear_down)
{
    cr_assert(admin_load_ping(server.port, 1000));
    cr_assert_eq(expect_loaded().retried, 0);
}

/* What has no sure answer is sent again until it has one. */
TEST_BODY(load, unknown_outcomes_are_sent_again, set_up, tear_down)
{
    server.trouble = "UNKNOWN outcome unknown: deadline";
    server.trouble_every = 3;
    cr_assert_gt(expect_loaded().retried, 0);
}

/* So is what was in flight on a connection that was lost. */
TEST_BODY(load, lost_connections_are_survived, set_up, tear_down)
{
    server.trouble = "";
    server.trouble_every = 7;
    cr_assert_gt(expect_loaded().retried, 0);
}

/* A refusal that would come again ends the load. */
TEST_BODY(load, refusals_end_it, set_up, tear_down)
{
    struct admin_load_result result;
    server.trouble = "ERR value is larger than value_size_max (8388608)";
    server.trouble_every = 20;
    cr_assert_eq(admin_load_run(server.port, &dataset, &stop, &result), 1);
}

/* A request to stop ends it at once. */
TEST_BODY(load, stops_when_asked, set_up, tear_down)
{
    struct admin_load_result result;
    stop = 1;
    cr_assert_eq(admin_load_run(server.port, &dataset, &stop, &result), 1);
    cr_assert_eq(server.count, 0);
}

static struct admin_digest digest_make(void)
{
    struct admin_digest digest = {.state = ADMIN_DIGEST_LOADED, .source = "pairs", .count = KEYS};
    digest.entries = calloc(KEYS, sizeof(*digest.entries));
    for (size_t i = 0; i < KEYS; i++)
        digest.entries[i] =
            (struct admin_digest_entry){dataset.pairs[i].key, base_hash(dataset.pairs[i].value)};
    return digest;
}

/* The check finds nothing in what was loaded; one more key of somebody's own is no matter. */
TEST_BODY(load, check_passes_what_was_loaded, set_up, tear_down)
{
    struct admin_digest digest = digest_make();
    expect_loaded();
    set_do("own", "x");
    cr_assert_eq(admin_load_check(server.port, &digest, 100), 0);
    free(digest.entries);
}

/* One changed value is found by reading every key; one missing key is found by the count alone. */
TEST_BODY(load, check_finds_differences, set_up, tear_down)
{
    struct admin_digest digest = digest_make();
    expect_loaded();
    set_do("key7", "another");
    cr_assert_eq(admin_load_check(server.port, &digest, 2000), 1);
    set_do("key7", "value 7");
    server.count--; /* key39, read by no sample. */
    cr_assert_eq(admin_load_check(server.port, &digest, 0), 1);
    free(digest.entries);
}

/* Without a server it is an error, not a wait. */
TEST_BODY(load, nobody_there_is_an_error, set_up, tear_down)
{
    struct admin_digest digest = digest_make();
    cr_assert(!admin_load_ping(1, 1000));
    cr_assert_eq(admin_load_check(1, &digest, 1), 1);
    free(digest.entries);
}

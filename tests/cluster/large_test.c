/* Values of the largest size, with real processes: several clients write and read them at once.
 * They come back as they were, another client is answered meanwhile, the router holds what its
 * README says and nothing of it afterwards. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/lib/client.h"
#include "tests/cluster/lib/cluster.h"

enum {
    CLIENTS = 8,
    ROUNDS = 3,
    VALUE_SIZE = 8 << 20,
    CLIENT_MS = 30000,
    PING_MS_MAX = 3000,                                  /* For a machine that is very busy. */
    PEAK_KIB = CLIENTS * 2 * (VALUE_SIZE >> 10) + 49152, /* Twice each, and all else. */
    LEFT_KIB = 24576,
    WAIT_MS = 60000,
};

struct writer {
    pthread_t thread;
    uint16_t port;
    unsigned number;
    bool ended;
};

/* Again when the disks were too slow for the deadline: a SET is the same the second time. */
static struct client_answer call(struct client *client, size_t count,
                                 const struct base_bytes *words)
{
    uint64_t until_ms = cluster_now_ms() + WAIT_MS;
    struct client_answer answer;
    do {
        answer = client_call(client, count, words);
        if (cluster_now_ms() > until_ms)
            cluster_fail("no answer in time: %.*s", (int)answer.bytes.size,
                         (const char *)answer.bytes.data);
        if (answer.outcome != CLIENT_OK)
            printf("again after \"%.*s\"\n", (int)answer.bytes.size,
                   (const char *)answer.bytes.data);
    } while (answer.outcome != CLIENT_OK);
    return answer;
}

static void *write_and_read(void *context)
{
    struct writer *writer = context;
    struct client *client = client_open(writer->port, CLIENT_MS);
    uint8_t *value = malloc(VALUE_SIZE);
    char key[16];
    CLUSTER_CHECK(value != NULL);
    snprintf(key, sizeof(key), "large%u", writer->number);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < VALUE_SIZE; i++)
            value[i] = (uint8_t)(i * 31 + i / 251 + writer->number + round);
        struct base_bytes words[] = {base_bytes_text("SET"), base_bytes_text(key),
                                     base_bytes_of(value, VALUE_SIZE)};
        struct client_answer answer = call(client, 3, words);
        CLUSTER_CHECK(client_answer_is(&answer, "OK"));
        words[0] = base_bytes_text("GET");
        answer = call(client, 2, words);
        CLUSTER_CHECK(base_bytes_equal(answer.bytes, base_bytes_of(value, VALUE_SIZE)));
    }
    free(value);
    client_close(client);
    __atomic_store_n(&writer->ended, true, __ATOMIC_RELEASE);
    return NULL;
}

/* A line of the router's /proc/PID/status, in KiB. */
static unsigned memory_kib(const struct cluster *cluster, const char *name)
{
    char path[64], line[256];
    unsigned kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)cluster_process(cluster, "r1").pid);
    FILE *file = fopen(path, "r");
    CLUSTER_CHECK(file != NULL);
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0)
            kib = (unsigned)strtoul(line + strlen(name), NULL, 10);
    }
    fclose(file);
    CLUSTER_CHECK(kib > 0);
    return kib;
}

struct left {
    const struct cluster *cluster;
    struct client *client;
    unsigned kib_max;
};

/* The heap gives back what has not been used for ten seconds, when it is asked for something. */
static bool is_given_back(void *context)
{
    const struct left *left = context;
    client_command(left->client, "SET", "small", "value", NULL);
    return memory_kib(left->cluster, "VmRSS:") <= left->kib_max;
}

static uint64_t ping_ms(struct client *client)
{
    uint64_t began_ms = cluster_now_ms();
    struct client_answer answer = client_command(client, "PING", NULL);
    CLUSTER_CHECK(answer.outcome == CLIENT_OK);
    return cluster_now_ms() - began_ms;
}

int main(void)
{
    static struct cluster cluster;
    static struct writer writers[CLIENTS];
    struct cluster_options options = {.nodes = 3, .shards = 3};
    cluster_start(&cluster, &options);
    struct client *client = client_open(cluster.port, CLIENT_MS);
    (void)ping_ms(client);
    unsigned before_kib = memory_kib(&cluster, "VmRSS:");
    for (unsigned i = 0; i < CLIENTS; i++) {
        writers[i] = (struct writer){.port = cluster.port, .number = i};
        CLUSTER_CHECK(pthread_create(&writers[i].thread, NULL, write_and_read, &writers[i]) == 0);
    }
    uint64_t most_ms = 0;
    for (unsigned i = 0; i < CLIENTS;) {
        uint64_t took_ms = ping_ms(client);
        most_ms = took_ms > most_ms ? took_ms : most_ms;
        i += __atomic_load_n(&writers[i].ended, __ATOMIC_ACQUIRE);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(writers[i].thread, NULL);
    unsigned peak_kib = memory_kib(&cluster, "VmHWM:");
    printf("PING at most %llu ms, memory %u KiB, at most %u KiB\n", (unsigned long long)most_ms,
           before_kib, peak_kib);
    CLUSTER_CHECK(most_ms <= PING_MS_MAX);
    CLUSTER_CHECK(peak_kib <= PEAK_KIB);
    struct left left = {&cluster, client, before_kib + LEFT_KIB};
    cluster_wait(is_given_back, &left, WAIT_MS, "the router has given its memory back");
    client_close(client);
    cluster_stop(&cluster);
    return 0;
}

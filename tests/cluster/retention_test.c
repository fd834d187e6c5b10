/* How long the log keeps what, with real processes: it stays bounded under load and so does the
 * replay; who was away catches up from the leader's log and votes again; and past log_size_max who
 * is away too long needs a rebuild, says so, and holds nobody else up. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/lib/client.h"
#include "tests/cluster/lib/cluster.h"

enum {
    MIB = 1 << 20,
    SEGMENT_MIB = 20,
    FLUSH_MIB = 4,
    LOG_MIB = 8 * SEGMENT_MIB + 4 * FLUSH_MIB, /* The least that torc-shard takes. */
    VALUE_SIZE = 64 << 10,
    VALUES_PER_MIB = MIB / VALUE_SIZE,
    KEYS = 64, /* Written again and again: the state stays small. */
    WRITERS = 4,
    CLIENT_MS = 10000,
    WAIT_MS = 30000,
};

struct writer {
    const struct cluster *cluster;
    pthread_t thread;
    unsigned count;
};

static void *write_values(void *context)
{
    struct writer *writer = context;
    struct client *client = client_open(writer->cluster->port, CLIENT_MS);
    char *value = malloc(VALUE_SIZE + 1), key[32];
    CLUSTER_CHECK(value != NULL);
    memset(value, 'v', VALUE_SIZE);
    value[VALUE_SIZE] = '\0';
    for (unsigned i = 0; i < writer->count; i++) {
        snprintf(key, sizeof(key), "key%u", i % KEYS);
        struct client_answer answer = client_command(client, "SET", key, value, NULL);
        if (answer.outcome != CLIENT_OK)
            cluster_fail("SET: outcome %d %.*s", (int)answer.outcome, (int)answer.bytes.size,
                         (const char *)answer.bytes.data);
    }
    free(value);
    client_close(client);
    return NULL;
}

/* Every write is acknowledged. */
static void write_mib(const struct cluster *cluster, unsigned mib)
{
    struct writer writers[WRITERS];
    uint64_t began_ms = cluster_now_ms();
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.cluster = cluster, .count = mib * VALUES_PER_MIB / WRITERS};
        CLUSTER_CHECK(pthread_create(&writers[i].thread, NULL, write_values, &writers[i]) == 0);
    }
    for (size_t i = 0; i < WRITERS; i++)
        CLUSTER_CHECK(pthread_join(writers[i].thread, NULL) == 0);
    printf("%u MiB written in %lu ms\n", mib, (unsigned long)(cluster_now_ms() - began_ms));
}

/* ---- What the status says -------------------------------------------------------------------- */

static uint64_t log_bytes_most(const struct cluster *cluster)
{
    json_t *status = cluster_status(cluster), *node;
    uint64_t most = 0;
    size_t i;
    json_array_foreach(json_object_get(status, "nodes"), i, node)
    {
        uint64_t bytes = (uint64_t)json_integer_value(json_object_get(node, "log_bytes"));
        most = bytes > most ? bytes : most;
    }
    json_decref(status);
    return most;
}

/* "" when the replica of the only shard on a node has none. */
static uint64_t trouble_of(const struct cluster *cluster, uint32_t node, char text[256])
{
    json_t *status = cluster_status(cluster), *group, *replica;
    uint64_t since_ms = 0;
    size_t i, j;
    text[0] = '\0';
    json_array_foreach(json_object_get(status, "groups"), i, group)
    {
        json_array_foreach(json_object_get(group, "replicas"), j, replica)
        {
            if (json_integer_value(json_object_get(replica, "node")) != node ||
                json_integer_value(json_object_get(replica, "group")) != 1)
                continue;
            snprintf(text, 256, "%s", json_string_value(json_object_get(replica, "trouble")));
            since_ms = (uint64_t)json_integer_value(json_object_get(replica, "trouble_since_ms"));
        }
    }
    json_decref(status);
    return since_ms;
}

static bool needs_rebuild(void *context)
{
    char text[256];
    return trouble_of(context, 3, text) > 0 && strstr(text, "needs a rebuild") != NULL;
}

/* The numbers of the newest "recovered" line of a node's log. */
static void recovered(const struct cluster *cluster, const char *id, unsigned long *ret_entries,
                      unsigned long *ret_bytes)
{
    struct cluster_process process = cluster_process(cluster, id);
    FILE *in = fopen(process.log, "re");
    CLUSTER_CHECK(in != NULL);
    char line[1024];
    bool found = false;
    while (fgets(line, sizeof(line), in) != NULL) {
        const char *at = strstr(line, " entries=");
        if (strstr(line, "event=recovered") != NULL && at != NULL)
            found = sscanf(at, " entries=%lu bytes=%lu", ret_entries, ret_bytes) == 2;
    }
    fclose(in);
    CLUSTER_CHECK(found);
}

/* ---- The story ------------------------------------------------------------------------------- */

/* Segments are recycled as fast as they fill, and a start replays about what a flush leaves: twice
 * flush_bytes (one being written out, one filling) and what was in flight. */
static void log_and_replay_are_bounded(struct cluster *cluster)
{
    uint64_t most = 0;
    for (int round = 0; round < 4; round++) {
        write_mib(cluster, 40);
        uint64_t bytes = log_bytes_most(cluster);
        most = bytes > most ? bytes : most;
    }
    printf("the largest log had %lu MiB\n", (unsigned long)(most / MIB));
    CLUSTER_CHECK(most > 0 && most <= (uint64_t)LOG_MIB * MIB);
    cluster_kill_all(cluster);
    uint64_t began_ms = cluster_now_ms();
    cluster_up(cluster);
    printf("up again in %lu ms\n", (unsigned long)(cluster_now_ms() - began_ms));
    for (uint32_t node = 1; node <= 3; node++) {
        unsigned long entries, bytes;
        char id[CLUSTER_ID_SIZE];
        snprintf(id, sizeof(id), "s%u", node % 10);
        recovered(cluster, id, &entries, &bytes);
        printf("%s replayed %lu entries, %lu KiB\n", id, entries, bytes / 1024);
        CLUSTER_CHECK(bytes <= (3 * FLUSH_MIB + 4) * (unsigned long)MIB);
    }
}

/* Far more than the leader keeps in memory, all of it still in its log; and writes go on meanwhile.
 */
static void who_was_away_catches_up_and_votes(struct cluster *cluster)
{
    char text[256];
    cluster_signal(cluster, "s3", SIGKILL);
    write_mib(cluster, 60);
    uint64_t began_ms = cluster_now_ms();
    cluster_restart(cluster, "s3");
    write_mib(cluster, 40);
    cluster_wait_converged(cluster, WAIT_MS);
    printf("caught up 60 MiB and 40 more in %lu ms\n",
           (unsigned long)(cluster_now_ms() - began_ms));
    trouble_of(cluster, 3, text);
    CLUSTER_CHECK(text[0] == '\0');
    cluster_signal(cluster, "s2", SIGKILL); /* Now nothing is chosen without s3. */
    write_mib(cluster, 1);
    cluster_restart(cluster, "s2");
    cluster_wait_converged(cluster, WAIT_MS);
}

/* Whether one write is acknowledged within its time. */
static bool write_one(const struct cluster *cluster, unsigned timeout_ms)
{
    struct client *client = client_open(cluster->port, timeout_ms);
    struct client_answer answer = client_command(client, "SET", "one", "value", NULL);
    client_close(client);
    return answer.outcome == CLIENT_OK;
}

static void who_is_away_too_long_needs_a_rebuild(struct cluster *cluster)
{
    static char output[65536];
    const char *words[] = {"status", NULL}, *none[] = {NULL};
    cluster_signal(cluster, "s3", SIGKILL);
    for (int round = 0; round < 6; round++) {
        write_mib(cluster, 40);
        CLUSTER_CHECK(log_bytes_most(cluster) <= (uint64_t)(LOG_MIB + 3 * SEGMENT_MIB) * MIB);
    }
    cluster_restart(cluster, "s3");
    cluster_wait(needs_rebuild, cluster, WAIT_MS, "s3 says that it needs a rebuild");
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), words, none) == 0);
    CLUSTER_CHECK(strstr(output, "needs a rebuild") != NULL && strstr(output, "since") != NULL);
    /* The other two go on, and a restart of s3 changes nothing. */
    write_mib(cluster, 8);
    cluster_restart(cluster, "s3");
    cluster_wait(needs_rebuild, cluster, WAIT_MS, "s3 says so again");
    /* It does not count towards a majority, and takes nothing over. */
    cluster_signal(cluster, "s2", SIGKILL);
    CLUSTER_CHECK(!write_one(cluster, 3000));
    CLUSTER_CHECK(cluster_leader(cluster, 1) != 3);
    cluster_restart(cluster, "s2");
    cluster_wait_served(cluster, WAIT_MS);
    write_mib(cluster, 8);
    CLUSTER_CHECK(needs_rebuild(cluster));
}

int main(void)
{
    static struct cluster cluster;
    static char segment_size[32], log_size[32], flush[32];
    snprintf(segment_size, sizeof(segment_size), "%d", SEGMENT_MIB * MIB);
    snprintf(log_size, sizeof(log_size), "log_size_max=%dMiB", LOG_MIB);
    snprintf(flush, sizeof(flush), "flush_bytes=%dMiB", FLUSH_MIB);
    struct cluster_options options = {
        .nodes = 3, .shards = 1, .segment_size = segment_size, .sets = {log_size, flush}};
    cluster_start(&cluster, &options);
    log_and_replay_are_bounded(&cluster);
    who_was_away_catches_up_and_votes(&cluster);
    who_is_away_too_long_needs_a_rebuild(&cluster);
    cluster_stop(&cluster);
    return 0;
}

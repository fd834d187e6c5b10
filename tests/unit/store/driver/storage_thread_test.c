/*
 * The storage thread, as a plain program so that it also runs under the thread sanitizer: the log
 * over real files, requests of all kinds, group commit, bounds, idle.
 */
#include "store/driver/storage_thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/driver/directory.h"

enum {
    REQUESTS_MAX = 64,
    WRITES = 4000,
    DEADLINE_MS = 30000,
    PAYLOAD_SIZE = 200,
};

struct counts {
    uint64_t records;
    uint64_t mark;
};

static void visit_record(void *context, const struct store_record *record)
{
    struct counts *counts = context;
    counts->records++;
    if (record->kind == STORE_RECORD_MARK && record->slot > counts->mark)
        counts->mark = record->slot;
}

static void visit_damaged(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    (void)context;
    (void)replica;
    fprintf(stderr, "group %u is damaged at slot %llu\n", group, (unsigned long long)slot);
    abort();
}

static uint64_t visit_flushed(void *context, uint32_t group)
{
    (void)context;
    (void)group;
    return 0;
}

struct node {
    struct store_directory *directory;
    struct store_log *log;
    struct store_thread *thread;
    struct counts counts;
};

static void node_open(struct node *node, const char *path)
{
    char text[STORE_DIRECTORY_TEXT_SIZE] = "";
    const struct store_directory_expectation expectation = {.feature_level_max = 1};
    const struct store_log_config config = {
        .batch_size_max = 60000, .spare_segments = 1, .slack_segments = 2};
    const struct store_log_visitor visitor = {.context = &node->counts,
                                              .record = visit_record,
                                              .damaged = visit_damaged,
                                              .flushed = visit_flushed};
    struct store_log_damage damage;
    memset(node, 0, sizeof *node);
    enum torc_status status = store_directory_open(path, &expectation, base_allocator_system(),
                                                   &node->directory, text, sizeof text);
    if (status != TORC_OK)
        fprintf(stderr, "%s\n", text);
    TORC_ASSERT(status == TORC_OK);
    status =
        store_log_open(&config, store_directory_device(node->directory), base_allocator_system(),
                       store_directory_superblock(node->directory), &visitor, &damage, &node->log);
    TORC_ASSERT(status == TORC_OK);
    status = store_thread_start(node->log, store_directory_device(node->directory),
                                store_directory_superblock(node->directory), REQUESTS_MAX,
                                &node->thread);
    TORC_ASSERT(status == TORC_OK);
}

static void node_close(struct node *node)
{
    struct store_request *left = store_thread_stop(node->thread);
    TORC_ASSERT(left == NULL);
    TORC_ASSERT(store_log_is_idle(node->log));
    store_log_close(node->log);
    store_directory_close(node->directory);
}

/* Waits until something is finished, and takes it. */
static struct store_request *wait_finished(struct store_thread *thread)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = store_thread_fd(thread), .events = POLLIN};
        int ready = poll(&poll_fd, 1, DEADLINE_MS);
        TORC_ASSERT(ready == 1 || (ready < 0 && errno == EINTR));
        struct store_request *finished = store_thread_take(thread);
        if (finished != NULL)
            return finished;
    }
}

static struct store_request *run(struct node *node, struct store_request *request)
{
    enum torc_status status = store_thread_submit(node->thread, request);
    TORC_ASSERT(status == TORC_OK);
    struct store_request *finished = wait_finished(node->thread);
    TORC_ASSERT(finished == request && finished->next == NULL);
    return finished;
}

/* One write: an entry and its mark. */
struct write {
    struct store_request request;
    struct store_record records[2];
};

static uint8_t payload[PAYLOAD_SIZE];

static void make_write(struct write *write, uint64_t slot)
{
    write->records[0] = (struct store_record){.kind = STORE_RECORD_ENTRY,
                                              .group = 1,
                                              .replica = 7,
                                              .slot = slot,
                                              .ballot = {.round = 1},
                                              .payload = base_bytes_of(payload, sizeof payload)};
    write->records[1] =
        (struct store_record){.kind = STORE_RECORD_MARK, .group = 1, .replica = 7, .slot = slot};
    write->request = (struct store_request){.kind = STORE_REQUEST_WRITE,
                                            .u.write = {.records = write->records, .count = 2}};
}

static void write_replica(struct node *node)
{
    const struct store_record replica = {.kind = STORE_RECORD_REPLICA, .group = 1, .replica = 7};
    struct store_request request = {.kind = STORE_REQUEST_WRITE,
                                    .u.write = {.records = &replica, .count = 1}};
    TORC_ASSERT(run(node, &request)->status == TORC_OK);
    TORC_ASSERT(request.batch == 1);
}

/* Keeps the thread full; everything comes back once, in order, and fewer batches than writes were
 * needed, since what waited went together. */
static void write_many(struct node *node)
{
    struct write *writes = calloc(WRITES, sizeof *writes);
    TORC_ASSERT(writes != NULL);
    uint64_t submitted = 0;
    uint64_t finished = 0;
    uint64_t batch = 0;
    while (finished < WRITES) {
        while (submitted < WRITES) {
            make_write(&writes[submitted], submitted + 1);
            enum torc_status status = store_thread_submit(node->thread, &writes[submitted].request);
            TORC_ASSERT((status == TORC_FULL) == (submitted - finished == REQUESTS_MAX));
            if (status == TORC_FULL)
                break;
            submitted++;
        }
        for (struct store_request *request = wait_finished(node->thread); request != NULL;
             request = request->next) {
            TORC_ASSERT(request == &writes[finished].request);
            TORC_ASSERT(request->status == TORC_OK);
            TORC_ASSERT(request->batch >= batch);
            batch = request->batch;
            finished++;
        }
    }
    TORC_ASSERT(batch > 1 && batch <= WRITES / 2);
    printf("%d writes in %llu batches\n", WRITES, (unsigned long long)batch);
    free(writes);
}

/* A read takes what is there in a row, as many as are asked for and as fit. */
static void read_back(struct node *node)
{
    static uint8_t buffer[3 * PAYLOAD_SIZE];
    struct store_record records[4];
    struct store_request request = {.kind = STORE_REQUEST_READ,
                                    .u.read = {.group = 1,
                                               .slot = WRITES - 1,
                                               .slot_last = WRITES + 5,
                                               .buffer = buffer,
                                               .buffer_size = sizeof buffer,
                                               .records = records,
                                               .records_max = 4}};
    TORC_ASSERT(run(node, &request)->status == TORC_OK);
    TORC_ASSERT(request.u.read.count == 2); /* The end of the log. */
    TORC_ASSERT(records[0].slot == WRITES - 1 && records[1].slot == WRITES);
    TORC_ASSERT(memcmp(buffer + PAYLOAD_SIZE, payload, PAYLOAD_SIZE) == 0);
    TORC_ASSERT(records[1].payload.data == buffer + PAYLOAD_SIZE);
    request.u.read.slot = WRITES - 9;
    TORC_ASSERT(run(node, &request)->status == TORC_OK);
    TORC_ASSERT(request.u.read.count == 3); /* The buffer. */
    request.u.read.records_max = 2;
    TORC_ASSERT(run(node, &request)->status == TORC_OK && request.u.read.count == 2);
    request.u.read.slot_last = WRITES - 9;
    TORC_ASSERT(run(node, &request)->status == TORC_OK && request.u.read.count == 1);
    request.u.read.buffer_size = PAYLOAD_SIZE - 1;
    TORC_ASSERT(run(node, &request)->status == TORC_TOO_LARGE && request.u.read.count == 0);
    request.u.read.slot = WRITES + 1;
    request.u.read.slot_last = WRITES + 1;
    TORC_ASSERT(run(node, &request)->status == TORC_NOT_FOUND);
}

static struct store_log_stats stats_of(struct node *node)
{
    struct store_request request = {.kind = STORE_REQUEST_STATS};
    TORC_ASSERT(run(node, &request)->status == TORC_OK);
    return request.u.stats;
}

static void trim(struct node *node)
{
    uint64_t segments = stats_of(node).segments;
    struct store_request request = {.kind = STORE_REQUEST_TRIM,
                                    .u.trim = {.group = 1, .slot = WRITES - 1}};
    TORC_ASSERT(run(node, &request)->status == TORC_OK);
    TORC_ASSERT(stats_of(node).segments < segments);
}

static void refuse_too_large(struct node *node)
{
    struct write write;
    make_write(&write, 1);
    write.records[0].payload.size = 60000;
    TORC_ASSERT(store_thread_submit(node->thread, &write.request) == TORC_TOO_LARGE);
}

static void raise_lease(struct node *node, uint64_t lease_max_ms)
{
    struct store_request request = {.kind = STORE_REQUEST_SUPERBLOCK,
                                    .u.superblock = {.lease_max_ms = lease_max_ms}};
    TORC_ASSERT(run(node, &request)->status == TORC_OK);
}

int main(void)
{
    char path[2048];
    char text[STORE_DIRECTORY_TEXT_SIZE];
    const char *base = getenv("TEST_TMPDIR");
    const struct store_directory_format_options options = {
        .node = 1, .block_size = 512, .segment_size = 256 * 1024};
    struct store_superblock superblock;
    struct node node;
    snprintf(path, sizeof path, "%s/storage_thread.XXXXXX", base != NULL ? base : "/tmp");
    TORC_ASSERT(mkdtemp(path) != NULL);
    TORC_ASSERT(store_directory_format(path, &options, &superblock, text, sizeof text) == TORC_OK);
    node_open(&node, path);
    write_replica(&node);
    write_many(&node);
    read_back(&node);
    refuse_too_large(&node);
    raise_lease(&node, 500);
    raise_lease(&node, 400); /* Never falls. */
    trim(&node);
    node_close(&node);

    node_open(&node, path);
    TORC_ASSERT(node.counts.mark == WRITES);
    TORC_ASSERT(store_directory_superblock(node.directory)->lease_max_ms == 500);
    node_close(&node);
    puts("ok");
    return 0;
}

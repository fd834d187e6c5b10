#include "shard/driver/disk.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "shard/driver/config.h"

enum {
    DISK_LOAD_ENTRIES_MAX = 256,
    DISK_LOAD_BYTES_MAX = 1 << 20,
    DISK_LOADS_MAX = 4096,
    DISK_BUFFER_SIZE = SHARD_LOG_BATCH_SIZE_MAX, /* Any entry fits. */
};

/* A request in the thread's hands. */
struct disk_request {
    struct store_request request;
    struct shard_log_batch *log; /* Of a write. */
};

/* One load at a time, each one read of the log: as many entries as the bounds let through. */
struct disk_load {
    struct shard_load wanted;
    struct store_record records[DISK_LOAD_ENTRIES_MAX];
    struct consensus_entry entries[DISK_LOAD_ENTRIES_MAX];
    bool busy;
    bool large; /* The first entry alone is over the bound on bytes. */
    struct disk_request request;
    uint8_t *buffer; /* DISK_BUFFER_SIZE. */
};

struct shard_disk {
    const struct base_allocator *allocator;
    struct store_thread *thread;
    struct base_pool *pool;
    struct disk_load load;
    struct shard_load *waiting; /* Loads not begun yet, in order. */
    size_t waiting_count, waiting_capacity;
    bool asking_facts;
    bool full;    /* A write was refused: nothing after it is told to the node. */
    bool damaged; /* A record is rotten: the same. */
};

struct shard_disk *shard_disk_new(struct store_thread *thread, struct base_pool *pool,
                                  const struct base_allocator *allocator)
{
    struct shard_disk *disk = base_alloc_zero(allocator, sizeof(*disk));
    disk->allocator = allocator;
    disk->thread = thread;
    disk->pool = pool;
    return disk;
}

static void free_request(struct shard_disk *disk, struct disk_request *request)
{
    if (request != &disk->load.request)
        base_free(disk->allocator, request, sizeof(*request));
}

/* The node hears nothing of it. */
static void drop_request(struct shard_disk *disk, struct disk_request *request)
{
    if (request->log != NULL) {
        shard_log_batch_free(request->log, disk->allocator);
        base_free(disk->allocator, request->log, sizeof(*request->log));
    }
    free_request(disk, request);
}

void shard_disk_free(struct shard_disk *disk, struct store_request *stopped)
{
    while (stopped != NULL) {
        struct store_request *next = stopped->next;
        drop_request(disk, (struct disk_request *)stopped);
        stopped = next;
    }
    base_free(disk->allocator, disk->load.buffer, DISK_BUFFER_SIZE);
    base_array_free(disk->allocator, disk->waiting, &disk->waiting_capacity,
                    sizeof(*disk->waiting));
    base_free(disk->allocator, disk, sizeof(*disk));
}

/* The bounds of the cores keep the number of requests far below the thread's. */
static void submit(struct shard_disk *disk, struct disk_request *request)
{
    enum torc_status status = store_thread_submit(disk->thread, &request->request);
    TORC_ASSERT(status == TORC_OK);
}

static struct disk_request *new_request(struct shard_disk *disk, enum store_request_kind kind)
{
    struct disk_request *request = base_alloc_zero(disk->allocator, sizeof(*request));
    request->request.kind = kind;
    return request;
}

/* ---- Loads
 * ---------------------------------------------------------------------------------------- */

static void read_entries(struct shard_disk *disk)
{
    struct disk_load *load = &disk->load;
    load->request = (struct disk_request){
        .request = {.kind = STORE_REQUEST_READ,
                    .u.read = {.group = load->wanted.group,
                               .slot = load->wanted.first,
                               .slot_last = load->wanted.last,
                               .buffer = load->buffer,
                               .buffer_size = load->large ? DISK_BUFFER_SIZE : DISK_LOAD_BYTES_MAX,
                               .records = load->records,
                               .records_max = load->large ? 1 : DISK_LOAD_ENTRIES_MAX}}};
    submit(disk, &load->request);
}

static void begin_load(struct shard_disk *disk)
{
    struct disk_load *load = &disk->load;
    if (load->busy || disk->waiting_count == 0)
        return;
    if (load->buffer == NULL)
        load->buffer = base_alloc(disk->allocator, DISK_BUFFER_SIZE);
    load->wanted = disk->waiting[0];
    disk->waiting_count--;
    memmove(&disk->waiting[0], &disk->waiting[1], disk->waiting_count * sizeof(*disk->waiting));
    load->busy = true;
    load->large = false;
    read_entries(disk);
}

/* Copies what was read into buffers of the pool, as far as that has room. */
static uint32_t take_entries(struct shard_disk *disk)
{
    struct disk_load *load = &disk->load;
    size_t count = load->request.request.u.read.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct store_record *record = &load->records[i];
        struct consensus_entry *entry = &load->entries[i];
        *entry = (struct consensus_entry){.slot = record->slot,
                                          .ballot = record->ballot,
                                          .origin = record->origin,
                                          .kind = (enum consensus_entry_kind)record->tag};
        if (entry->kind != CONSENSUS_VALUE)
            continue;
        entry->value = base_buffer_copy(disk->pool, record->payload);
        if (entry->value == NULL)
            return i;
    }
    return (uint32_t)count;
}

/* A leader that cannot read its log would keep its place and never bring a voter up to date that
 * lags. What was lost is for the next start to say. */
static void note_damaged(struct shard_disk *disk, enum torc_status status)
{
    disk->damaged = true;
    base_log(BASE_LOG_ERROR, "log_read_failed",
             "group=%u slot=%llu why=\"%s\" remedy=\"start again: what is damaged is then said, "
             "and takes no part\"",
             disk->load.wanted.group, (unsigned long long)disk->load.wanted.first,
             torc_status_text(status));
}

static void finish_load(struct shard_disk *disk, struct shard_node *node, uint64_t now_ms)
{
    struct disk_load *load = &disk->load;
    enum torc_status status = load->request.request.status;
    if (status == TORC_TOO_LARGE && !load->large) {
        load->large = true;
        read_entries(disk);
        return;
    }
    if (status != TORC_OK && status != TORC_NOT_FOUND) {
        note_damaged(disk, status);
        return;
    }
    uint32_t count = take_entries(disk);
    shard_node_loaded(node, load->wanted.group, load->entries, count, now_ms);
    for (uint32_t i = 0; i < count; i++)
        base_buffer_unref(load->entries[i].value);
    load->busy = false;
    begin_load(disk);
}

/* ---- Submitting and collecting
 * --------------------------------------------------------------------- */

void shard_disk_submit(struct shard_disk *disk, const struct shard_node_ready *ready)
{
    if (ready->log != NULL) {
        struct disk_request *request = new_request(disk, STORE_REQUEST_WRITE);
        request->log = ready->log;
        request->request.u.write.records = ready->log->records;
        request->request.u.write.count = ready->log->record_count;
        submit(disk, request);
    }
    for (size_t i = 0; i < ready->trim_count; i++) {
        struct disk_request *request = new_request(disk, STORE_REQUEST_TRIM);
        request->request.u.trim.group = ready->trims[i].group;
        request->request.u.trim.slot = ready->trims[i].slot;
        submit(disk, request);
    }
    for (size_t i = 0; i < ready->load_count; i++) {
        TORC_ASSERT(disk->waiting_count < DISK_LOADS_MAX);
        disk->waiting = base_array_reserve(disk->allocator, disk->waiting, &disk->waiting_capacity,
                                           disk->waiting_count + 1, sizeof(*disk->waiting));
        disk->waiting[disk->waiting_count++] = ready->loads[i];
    }
    begin_load(disk);
}

void shard_disk_ask_facts(struct shard_disk *disk)
{
    if (disk->asking_facts)
        return;
    disk->asking_facts = true;
    submit(disk, new_request(disk, STORE_REQUEST_STATS));
}

static void finish(struct shard_disk *disk, struct disk_request *request, struct shard_node *node,
                   uint64_t now_ms)
{
    switch (request->request.kind) {
    case STORE_REQUEST_WRITE:
        shard_node_stored(node, request->log, request->request.batch, now_ms);
        break;
    case STORE_REQUEST_READ:
        finish_load(disk, node, now_ms);
        break;
    case STORE_REQUEST_STATS:
        disk->asking_facts = false;
        shard_node_log_facts(node, request->request.u.stats.bytes, request->request.u.stats.appends,
                             request->request.u.stats.syncs);
        break;
    case STORE_REQUEST_TRIM:
    case STORE_REQUEST_SUPERBLOCK:
        break;
    }
    free_request(disk, request);
}

/* A failed write has ended the process in the device; a full disk has not, and the log is whole. */
static void note_full(struct shard_disk *disk, const struct store_request *request)
{
    if (disk->full || request->kind != STORE_REQUEST_WRITE || request->status == TORC_OK)
        return;
    disk->full = true;
    base_log(BASE_LOG_ERROR, "log_full",
             "why=\"the disk has no room for a new segment of the log\" remedy=\"free some, then "
             "start again: nothing that was acknowledged is lost\"");
}

bool shard_disk_collect(struct shard_disk *disk, struct shard_node *node, uint64_t now_ms)
{
    struct store_request *done = store_thread_take(disk->thread);
    bool any = done != NULL;
    while (done != NULL) {
        struct store_request *next = done->next;
        note_full(disk, done);
        if (disk->full || disk->damaged)
            drop_request(disk, (struct disk_request *)done);
        else
            finish(disk, (struct disk_request *)done, node, now_ms);
        done = next;
    }
    return any;
}

bool shard_disk_is_full(const struct shard_disk *disk)
{
    return disk->full;
}

bool shard_disk_is_damaged(const struct shard_disk *disk)
{
    return disk->damaged;
}

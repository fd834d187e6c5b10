#include "shard/driver/disk.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "shard/driver/config.h"

enum { DISK_LOAD_ENTRIES_MAX = 256, DISK_LOAD_BYTES_MAX = 1 << 20, DISK_LOADS_MAX = 4096 };

/* A request in the thread's hands. */
struct disk_request {
    struct store_request request;
    struct shard_log_batch *log; /* Of a write. */
};

/* One load at a time: slot by slot, until the range or a bound is reached. */
struct disk_load {
    struct shard_load wanted;
    struct consensus_entry entries[DISK_LOAD_ENTRIES_MAX];
    uint32_t count;
    size_t bytes;
    bool busy;
    struct disk_request request;
    uint8_t *buffer; /* SHARD_REQUEST_SIZE_MAX + some. */
};

enum { DISK_BUFFER_SIZE = SHARD_LOG_BATCH_SIZE_MAX };

struct shard_disk {
    const struct base_allocator *allocator;
    struct store_thread *thread;
    struct base_pool *pool;
    struct disk_load load;
    struct shard_load *waiting; /* Loads not begun yet, in order. */
    size_t waiting_count, waiting_capacity;
    bool asking_facts;
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

void shard_disk_free(struct shard_disk *disk, struct store_request *stopped)
{
    while (stopped != NULL) {
        struct disk_request *request = (struct disk_request *)stopped;
        stopped = stopped->next;
        if (request->log != NULL) {
            shard_log_batch_free(request->log, disk->allocator);
            base_free(disk->allocator, request->log, sizeof(*request->log));
        }
        free_request(disk, request);
    }
    for (uint32_t i = 0; i < disk->load.count; i++)
        base_buffer_unref(disk->load.entries[i].value);
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

static void read_slot(struct shard_disk *disk)
{
    struct disk_load *load = &disk->load;
    load->request =
        (struct disk_request){.request = {.kind = STORE_REQUEST_READ,
                                          .u.read = {.group = load->wanted.group,
                                                     .slot = load->wanted.first + load->count,
                                                     .buffer = load->buffer,
                                                     .buffer_size = DISK_BUFFER_SIZE}}};
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
    load->count = 0;
    load->bytes = 0;
    read_slot(disk);
}

/* Takes the slot that was read; true: the load goes on with the next. */
static bool take_slot(struct shard_disk *disk)
{
    struct disk_load *load = &disk->load;
    const struct store_request *request = &load->request.request;
    const struct store_record *record = &request->u.read.record;
    if (request->status != TORC_OK) {
        if (request->status != TORC_NOT_FOUND)
            base_log(BASE_LOG_ERROR, "log_read_failed", "group=%u slot=%llu why=\"%s\"",
                     load->wanted.group, (unsigned long long)request->u.read.slot,
                     torc_status_text(request->status));
        return false;
    }
    struct consensus_entry entry = {.slot = record->slot,
                                    .ballot = record->ballot,
                                    .origin = record->origin,
                                    .kind = (enum consensus_entry_kind)record->tag};
    if (entry.kind == CONSENSUS_VALUE) {
        entry.value = base_buffer_copy(disk->pool, record->payload);
        if (entry.value == NULL)
            return false;
    }
    load->entries[load->count++] = entry;
    load->bytes += record->payload.size;
    return load->count < DISK_LOAD_ENTRIES_MAX && load->bytes < DISK_LOAD_BYTES_MAX &&
           load->wanted.first + load->count <= load->wanted.last;
}

static void finish_slot(struct shard_disk *disk, struct shard_node *node, uint64_t now_ms)
{
    struct disk_load *load = &disk->load;
    if (take_slot(disk)) {
        read_slot(disk);
        return;
    }
    shard_node_loaded(node, load->wanted.group, load->entries, load->count, now_ms);
    for (uint32_t i = 0; i < load->count; i++)
        base_buffer_unref(load->entries[i].value);
    load->count = 0;
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

/* A full log is not a damaged one: the process ends, and may be started when there is room. */
static void check_write(const struct store_request *request)
{
    if (request->status == TORC_OK)
        return;
    base_log(BASE_LOG_ERROR, "log_write_failed", "why=\"%s\"", torc_status_text(request->status));
    torc_assert_fail("the log takes no more writes: free room on the disk and start again",
                     __FILE__, __LINE__);
}

static void finish(struct shard_disk *disk, struct disk_request *request, struct shard_node *node,
                   uint64_t now_ms)
{
    switch (request->request.kind) {
    case STORE_REQUEST_WRITE:
        check_write(&request->request);
        shard_node_stored(node, request->log, request->request.batch, now_ms);
        break;
    case STORE_REQUEST_READ:
        finish_slot(disk, node, now_ms);
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

bool shard_disk_collect(struct shard_disk *disk, struct shard_node *node, uint64_t now_ms)
{
    struct store_request *done = store_thread_take(disk->thread);
    bool any = done != NULL;
    while (done != NULL) {
        struct store_request *next = done->next;
        finish(disk, (struct disk_request *)done, node, now_ms);
        done = next;
    }
    return any;
}

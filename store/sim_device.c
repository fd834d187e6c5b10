#include "store/sim_device.h"

#include <string.h>

#include "base/assert.h"

/* One atomic unit's content, shared by all devices whose tables point to it. NULL stands for
 * zeroes. */
struct sector {
    uint32_t references;
    bool adrift; /* Its sync failed: no later one writes it. In a cache only. */
    uint8_t bytes[];
};

/* A segment or a superblock copy. Invariant: cached[i] is NULL (as on disk) or what a crash may
 * lose. */
struct file {
    uint64_t on_disk; /* Its durable name; 0: none. */
    uint64_t named;   /* The name that reads and writes use; 0: removed. */
    uint64_t size;
    uint32_t sectors;
    bool touched; /* Written at least once (superblock copies: whether it exists). */
    struct sector **disk;
    struct sector **cached;
};

/* A rename or removal that the directory's sync has not reached. */
struct name_change {
    size_t file;
    uint64_t to; /* 0: removed. */
};

struct store_sim_device {
    const struct base_allocator *allocator;
    struct store_sim_config config;
    struct file *files; /* The first two are the superblock copies. */
    size_t file_count;
    size_t file_capacity;
    struct name_change *changes; /* In order. */
    size_t change_count;
    size_t change_capacity;
    struct store_sim_counters counters;
    enum store_sim_fault fault;
    uint64_t fault_at; /* Value of counters.operations that meets it. */
    bool fault_set;
    bool lies;
};

/* --- Sectors and files --- */

static size_t sector_bytes(const struct store_sim_device *device)
{
    return sizeof(struct sector) + device->config.sector_size;
}

static void sector_unref(struct store_sim_device *device, struct sector *sector)
{
    if (sector != NULL && --sector->references == 0)
        base_free(device->allocator, sector, sector_bytes(device));
}

static struct sector *sector_ref(struct sector *sector)
{
    if (sector != NULL)
        sector->references++;
    return sector;
}

static struct sector *sector_new(struct store_sim_device *device, const void *bytes)
{
    struct sector *sector = base_alloc(device->allocator, sector_bytes(device));
    sector->references = 1;
    sector->adrift = false;
    memcpy(sector->bytes, bytes, device->config.sector_size);
    return sector;
}

static struct file *file_add(struct store_sim_device *device, uint64_t name, uint64_t size)
{
    device->files = base_array_reserve(device->allocator, device->files, &device->file_capacity,
                                       device->file_count + 1, sizeof *device->files);
    struct file *file = &device->files[device->file_count++];
    *file = (struct file){.on_disk = name, .named = name, .size = size};
    file->sectors =
        (uint32_t)((size + device->config.sector_size - 1) / device->config.sector_size);
    file->disk = base_alloc_zero(device->allocator, file->sectors * sizeof(struct sector *));
    file->cached = base_alloc_zero(device->allocator, file->sectors * sizeof(struct sector *));
    return file;
}

static void file_clear(struct store_sim_device *device, struct file *file)
{
    for (uint32_t i = 0; i < file->sectors; i++) {
        sector_unref(device, file->disk[i]);
        sector_unref(device, file->cached[i]);
    }
    base_free(device->allocator, file->disk, file->sectors * sizeof(struct sector *));
    base_free(device->allocator, file->cached, file->sectors * sizeof(struct sector *));
    *file = (struct file){0};
}

static struct file *file_find(const struct store_sim_device *device, uint64_t segment)
{
    for (size_t i = STORE_SUPERBLOCK_COPIES; i < device->file_count; i++)
        if (device->files[i].named == segment)
            return &device->files[i];
    return NULL;
}

static const uint8_t *file_sector(const struct file *file, uint32_t sector)
{
    const struct sector *seen =
        file->cached[sector] != NULL ? file->cached[sector] : file->disk[sector];
    return seen == NULL ? NULL : seen->bytes;
}

static void file_read(const struct store_sim_device *device, const struct file *file,
                      uint64_t offset, void *buffer, size_t size)
{
    uint8_t *to = buffer;
    uint32_t sector_size = device->config.sector_size;
    while (size > 0) {
        uint32_t at = (uint32_t)(offset % sector_size);
        size_t part = size < sector_size - at ? size : sector_size - at;
        const uint8_t *bytes = file_sector(file, (uint32_t)(offset / sector_size));
        if (bytes == NULL)
            memset(to, 0, part);
        else
            memcpy(to, bytes + at, part);
        to += part;
        offset += part;
        size -= part;
    }
}

static void file_write(struct store_sim_device *device, struct file *file, uint64_t offset,
                       const void *data, size_t size)
{
    const uint8_t *from = data;
    uint32_t sector_size = device->config.sector_size;
    TORC_ASSERT(offset % sector_size == 0 && size % sector_size == 0);
    file->touched = true;
    for (; size > 0; size -= sector_size, from += sector_size, offset += sector_size) {
        uint32_t index = (uint32_t)(offset / sector_size);
        if (index >= file->sectors)
            return; /* A misdirected write past the end. */
        sector_unref(device, file->cached[index]);
        file->cached[index] = sector_new(device, from);
    }
}

static void file_settle(struct store_sim_device *device, struct file *file, uint32_t sector)
{
    sector_unref(device, file->disk[sector]);
    file->disk[sector] = file->cached[sector];
    file->cached[sector] = NULL;
}

/* Sectors [first, end) of a file, as far as it has them. */
struct range {
    uint32_t first;
    uint32_t end;
};

static struct range range_of(const struct store_sim_device *device, const struct file *file,
                             uint64_t offset, size_t size)
{
    uint64_t first = offset / device->config.sector_size;
    uint64_t end = first + size / device->config.sector_size;
    return (struct range){.first = (uint32_t)first,
                          .end = end < file->sectors ? (uint32_t)end : file->sectors};
}

static void file_sync(struct store_sim_device *device, struct file *file, struct range range)
{
    for (uint32_t i = range.first; i < range.end; i++)
        if (file->cached[i] != NULL && !file->cached[i]->adrift)
            file_settle(device, file, i);
}

/* Sectors may be shared with clones, so one that goes adrift is a new one. */
static void file_set_adrift(struct store_sim_device *device, struct file *file, struct range range)
{
    for (uint32_t i = range.first; i < range.end; i++) {
        if (file->cached[i] == NULL || file->cached[i]->adrift)
            continue;
        struct sector *adrift = sector_new(device, file->cached[i]->bytes);
        adrift->adrift = true;
        sector_unref(device, file->cached[i]);
        file->cached[i] = adrift;
    }
}

/* --- Faults --- */

/* Counts an operation and says what becomes of it: *ret_fault is written when it meets one. */
static bool meets_fault(struct store_sim_device *device, enum store_sim_fault *ret_fault)
{
    uint64_t now = device->counters.operations++;
    if (!device->fault_set || now < device->fault_at || device->fault == STORE_SIM_SYNC_ERROR)
        return false; /* Syncs of files ask for that one themselves. */
    device->counters.faults++;
    *ret_fault = device->fault;
    if (device->fault == STORE_SIM_STOP)
        return true;
    device->fault_set = false;
    return true;
}

static bool meets_sync_error(struct store_sim_device *device)
{
    if (!device->fault_set || device->fault != STORE_SIM_SYNC_ERROR ||
        device->counters.operations < device->fault_at)
        return false;
    device->fault_set = false;
    device->counters.operations++;
    device->counters.faults++;
    return true;
}

/* True when a sync or a change of a name is to be done; else *ret_status is its outcome. */
static bool plain_operation(struct store_sim_device *device, enum torc_status *ret_status)
{
    enum store_sim_fault fault;
    if (!meets_fault(device, &fault) || fault == STORE_SIM_MISDIRECTED)
        return true;
    *ret_status = fault == STORE_SIM_LOST_WRITE ? TORC_OK : TORC_IO;
    return false;
}

/* A change of a name shows at once, whatever the disk does. */
static bool plain_change(struct store_sim_device *device, enum torc_status *ret_status)
{
    return plain_operation(device, ret_status) || *ret_status == TORC_OK;
}

/* *ret_range is where it went. */
static enum torc_status do_write(struct store_sim_device *device, struct file *file,
                                 uint64_t offset, const void *data, size_t size,
                                 struct range *ret_range)
{
    enum store_sim_fault fault;
    uint64_t stopped_at = device->fault_at;
    *ret_range = range_of(device, file, offset, size);
    device->counters.writes++;
    device->counters.written_bytes += size;
    if (!meets_fault(device, &fault)) {
        file_write(device, file, offset, data, size);
        return TORC_OK;
    }
    switch (fault) {
    case STORE_SIM_STOP:
        /* The write during which the power went; later ones were never made. */
        if (device->counters.operations - 1 == stopped_at)
            file_write(device, file, offset, data, size);
        return TORC_IO;
    case STORE_SIM_ERROR:
        return TORC_IO;
    case STORE_SIM_LOST_WRITE:
        return TORC_OK;
    case STORE_SIM_MISDIRECTED:
        offset += device->config.sector_size;
        *ret_range = range_of(device, file, offset, size);
        file_write(device, file, offset, data, size);
        return TORC_OK;
    case STORE_SIM_SYNC_ERROR:
        break; /* Of syncs only. */
    }
    return TORC_IO;
}

static enum torc_status do_sync(struct store_sim_device *device, struct file *file,
                                struct range range)
{
    enum torc_status status;
    device->counters.syncs++;
    if (meets_sync_error(device)) {
        file_set_adrift(device, file, range);
        return TORC_IO;
    }
    if (!plain_operation(device, &status))
        return status;
    if (!device->lies)
        file_sync(device, file, range);
    return TORC_OK;
}

/* --- The interface --- */

static enum torc_status sim_next(void *context, uint64_t after, uint64_t *ret_segment,
                                 uint64_t *ret_size)
{
    struct store_sim_device *device = context;
    const struct file *best = NULL;
    for (size_t i = STORE_SUPERBLOCK_COPIES; i < device->file_count; i++) {
        const struct file *file = &device->files[i];
        if (file->named > after && (best == NULL || file->named < best->named))
            best = file;
    }
    if (best == NULL)
        return TORC_NOT_FOUND;
    *ret_segment = best->named;
    *ret_size = best->size;
    return TORC_OK;
}

static uint64_t used_bytes(const struct store_sim_device *device)
{
    uint64_t used = 0;
    for (size_t i = STORE_SUPERBLOCK_COPIES; i < device->file_count; i++)
        used += device->files[i].size;
    return used;
}

static enum torc_status sim_prepare(void *context, uint64_t segment, uint64_t size, bool *ret_done)
{
    struct store_sim_device *device = context;
    enum torc_status status;
    TORC_ASSERT(file_find(device, segment) == NULL);
    TORC_ASSERT(size % device->config.sector_size == 0);
    if (used_bytes(device) + size > device->config.capacity_max)
        return TORC_FULL;
    if (!plain_change(device, &status))
        return status;
    file_add(device, segment, size);
    *ret_done = true;
    return TORC_OK;
}

static enum torc_status sim_read(void *context, uint64_t segment, uint64_t offset, void *buffer,
                                 size_t size)
{
    struct store_sim_device *device = context;
    const struct file *file = file_find(device, segment);
    device->counters.reads++;
    if (file == NULL)
        return TORC_NOT_FOUND;
    if (offset + size > file->size)
        return TORC_IO;
    file_read(device, file, offset, buffer, size);
    return TORC_OK;
}

static enum torc_status sim_write(void *context, uint64_t segment, uint64_t offset,
                                  const void *data, size_t size, bool durable)
{
    struct store_sim_device *device = context;
    struct file *file = file_find(device, segment);
    struct range range;
    TORC_ASSERT(file != NULL && offset + size <= file->size);
    enum torc_status status = do_write(device, file, offset, data, size, &range);
    if (status != TORC_OK || !durable)
        return status;
    return do_sync(device, file, range);
}

static enum torc_status change_name(struct store_sim_device *device, struct file *file, uint64_t to)
{
    enum torc_status status;
    if (!plain_change(device, &status))
        return status;
    file->named = to;
    device->changes =
        base_array_reserve(device->allocator, device->changes, &device->change_capacity,
                           device->change_count + 1, sizeof *device->changes);
    device->changes[device->change_count++] =
        (struct name_change){.file = (size_t)(file - device->files), .to = to};
    return TORC_OK;
}

static enum torc_status sim_rename(void *context, uint64_t from, uint64_t to)
{
    struct store_sim_device *device = context;
    struct file *file = file_find(device, from);
    TORC_ASSERT(file != NULL && file_find(device, to) == NULL);
    return change_name(device, file, to);
}

static enum torc_status sim_remove(void *context, uint64_t segment)
{
    struct store_sim_device *device = context;
    struct file *file = file_find(device, segment);
    TORC_ASSERT(file != NULL);
    return change_name(device, file, 0);
}

/* Segments that have no name any more give their space back. */
static void drop_nameless(struct store_sim_device *device)
{
    TORC_ASSERT(device->change_count == 0);
    size_t kept = STORE_SUPERBLOCK_COPIES;
    for (size_t i = kept; i < device->file_count; i++) {
        if (device->files[i].on_disk == 0)
            file_clear(device, &device->files[i]);
        else
            device->files[kept++] = device->files[i];
    }
    device->file_count = kept;
}

static enum torc_status sim_sync_directory(void *context)
{
    struct store_sim_device *device = context;
    enum torc_status status;
    device->counters.syncs++;
    if (!plain_operation(device, &status))
        return status;
    if (device->lies)
        return TORC_OK;
    for (size_t i = 0; i < device->change_count; i++)
        device->files[device->changes[i].file].on_disk = device->changes[i].to;
    device->change_count = 0;
    drop_nameless(device);
    return TORC_OK;
}

static enum torc_status sim_superblock_read(void *context, unsigned copy, void *buffer)
{
    struct store_sim_device *device = context;
    TORC_ASSERT(copy < STORE_SUPERBLOCK_COPIES);
    device->counters.reads++;
    if (!device->files[copy].touched)
        return TORC_NOT_FOUND;
    file_read(device, &device->files[copy], 0, buffer, STORE_SUPERBLOCK_SIZE);
    return TORC_OK;
}

static enum torc_status sim_superblock_write(void *context, unsigned copy, const void *data)
{
    struct store_sim_device *device = context;
    struct range range;
    TORC_ASSERT(copy < STORE_SUPERBLOCK_COPIES);
    return do_write(device, &device->files[copy], 0, data, STORE_SUPERBLOCK_SIZE, &range);
}

static enum torc_status sim_superblock_sync(void *context, unsigned copy)
{
    struct store_sim_device *device = context;
    TORC_ASSERT(copy < STORE_SUPERBLOCK_COPIES);
    struct file *file = &device->files[copy];
    return do_sync(device, file, (struct range){.first = 0, .end = file->sectors});
}

struct store_device store_sim_device_of(struct store_sim_device *device)
{
    return (struct store_device){
        .context = device,
        .next = sim_next,
        .prepare = sim_prepare,
        .read = sim_read,
        .write = sim_write,
        .rename = sim_rename,
        .remove = sim_remove,
        .sync_directory = sim_sync_directory,
        .superblock_read = sim_superblock_read,
        .superblock_write = sim_superblock_write,
        .superblock_sync = sim_superblock_sync,
    };
}

/* --- Crashes and damage --- */

size_t store_sim_device_pending(const struct store_sim_device *device)
{
    size_t pending = device->change_count;
    for (size_t i = 0; i < device->file_count; i++)
        for (uint32_t s = 0; s < device->files[i].sectors; s++)
            pending += device->files[i].cached[s] != NULL;
    return pending;
}

static void sector_crash(struct store_sim_device *device, struct file *file, uint32_t index,
                         enum store_sim_fate fate)
{
    if (file->cached[index]->adrift)
        fate = STORE_SIM_LOST;
    size_t half = device->config.sector_size / 2;
    if (fate == STORE_SIM_TORN) {
        const uint8_t *old = file->disk[index] == NULL ? NULL : file->disk[index]->bytes;
        struct sector *torn = sector_new(device, file->cached[index]->bytes);
        if (old == NULL)
            memset(torn->bytes + half, 0, half);
        else
            memcpy(torn->bytes + half, old + half, half);
        sector_unref(device, file->cached[index]);
        file->cached[index] = torn;
    }
    if (fate == STORE_SIM_LOST) {
        sector_unref(device, file->cached[index]);
        file->cached[index] = NULL;
    } else {
        file_settle(device, file, index);
    }
}

void store_sim_device_power_loss(struct store_sim_device *device,
                                 enum store_sim_fate (*fate)(void *context), void *context)
{
    for (size_t i = 0; i < device->change_count; i++)
        if (fate(context) != STORE_SIM_LOST)
            device->files[device->changes[i].file].on_disk = device->changes[i].to;
    device->change_count = 0;
    for (size_t i = 0; i < device->file_count; i++) {
        struct file *file = &device->files[i];
        for (uint32_t s = 0; s < file->sectors; s++)
            if (file->cached[s] != NULL)
                sector_crash(device, file, s, fate(context));
        file->named = file->on_disk;
    }
    /* A superblock copy of which no byte reached the disk was never created. */
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++) {
        struct file *file = &device->files[copy];
        file->touched = false;
        for (uint32_t s = 0; s < file->sectors; s++)
            file->touched = file->touched || file->disk[s] != NULL;
    }
    drop_nameless(device);
    device->fault_set = false;
}

void store_sim_device_process_crash(struct store_sim_device *device)
{
    device->fault_set = false;
}

enum store_sim_fate store_sim_fate_random(void *prng)
{
    return base_prng_chance(prng, 1, 2) ? STORE_SIM_KEPT : STORE_SIM_LOST;
}

void store_sim_device_inject(struct store_sim_device *device, enum store_sim_fault fault,
                             uint64_t after)
{
    device->fault = fault;
    device->fault_at = device->counters.operations + after;
    device->fault_set = true;
}

void store_sim_device_spare(struct store_sim_device *device)
{
    device->fault_set = false;
}

void store_sim_device_lie(struct store_sim_device *device, bool lies)
{
    device->lies = lies;
}

/* Sectors are shared, so a changed one is a new one. */
static void sector_flip(struct store_sim_device *device, struct sector **sector, uint32_t bit)
{
    uint8_t zeroes[STORE_SUPERBLOCK_SIZE] = {0};
    struct sector *flipped =
        sector_new(device, *sector == NULL ? zeroes : (const uint8_t *)(*sector)->bytes);
    flipped->adrift = *sector != NULL && (*sector)->adrift;
    flipped->bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    sector_unref(device, *sector);
    *sector = flipped;
}

static enum torc_status file_flip(struct store_sim_device *device, struct file *file, uint64_t bit)
{
    if (file == NULL || bit / 8 >= file->size)
        return TORC_NOT_FOUND;
    uint32_t sector_bits = device->config.sector_size * 8;
    uint32_t index = (uint32_t)(bit / sector_bits);
    sector_flip(device, &file->disk[index], (uint32_t)(bit % sector_bits));
    if (file->cached[index] != NULL)
        sector_flip(device, &file->cached[index], (uint32_t)(bit % sector_bits));
    return TORC_OK;
}

enum torc_status store_sim_device_flip(struct store_sim_device *device, uint64_t segment,
                                       uint64_t bit)
{
    return file_flip(device, file_find(device, segment), bit);
}

enum torc_status store_sim_device_flip_superblock(struct store_sim_device *device, unsigned copy,
                                                  uint32_t bit)
{
    TORC_ASSERT(copy < STORE_SUPERBLOCK_COPIES);
    return file_flip(device, &device->files[copy], bit);
}

void store_sim_device_resize(struct store_sim_device *device, uint64_t capacity_max)
{
    device->config.capacity_max = capacity_max;
}

void store_sim_device_counters(const struct store_sim_device *device,
                               struct store_sim_counters *ret_counters)
{
    *ret_counters = device->counters;
}

/* --- Life --- */

struct store_sim_device *store_sim_device_new(const struct store_sim_config *config,
                                              const struct base_allocator *allocator)
{
    TORC_ASSERT(config->sector_size >= 2 && config->sector_size <= STORE_SUPERBLOCK_SIZE);
    TORC_ASSERT((config->sector_size & (config->sector_size - 1)) == 0);
    struct store_sim_device *device = base_alloc_zero(allocator, sizeof *device);
    device->allocator = allocator;
    device->config = *config;
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++)
        file_add(device, UINT64_MAX, STORE_SUPERBLOCK_SIZE);
    return device;
}

static void file_clone(struct store_sim_device *to, const struct file *file)
{
    struct file *copy = file_add(to, file->on_disk, file->size);
    copy->named = file->named;
    copy->touched = file->touched;
    for (uint32_t i = 0; i < file->sectors; i++) {
        copy->disk[i] = sector_ref(file->disk[i]);
        copy->cached[i] = sector_ref(file->cached[i]);
    }
}

struct store_sim_device *store_sim_device_clone(const struct store_sim_device *device)
{
    struct store_sim_device *clone = base_alloc_zero(device->allocator, sizeof *clone);
    clone->allocator = device->allocator;
    clone->config = device->config;
    for (size_t i = 0; i < device->file_count; i++)
        file_clone(clone, &device->files[i]);
    clone->changes = base_array_reserve(clone->allocator, clone->changes, &clone->change_capacity,
                                        device->change_count, sizeof *clone->changes);
    clone->change_count = device->change_count;
    for (size_t i = 0; i < device->change_count; i++)
        clone->changes[i] = device->changes[i];
    return clone;
}

void store_sim_device_free(struct store_sim_device *device)
{
    if (device == NULL)
        return;
    for (size_t i = 0; i < device->file_count; i++)
        file_clear(device, &device->files[i]);
    base_array_free(device->allocator, device->files, &device->file_capacity,
                    sizeof *device->files);
    base_array_free(device->allocator, device->changes, &device->change_capacity,
                    sizeof *device->changes);
    base_free(device->allocator, device, sizeof *device);
}

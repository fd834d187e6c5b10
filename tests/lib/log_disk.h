/*
 * tests/lib/log_disk -- a log over a simulated disk, and a model of what a log says: the promise,
 * mark and newest record of each slot of a few groups. Two logs that say the same have equal
 * models.
 */
#ifndef TORC_TESTS_LIB_LOG_DISK_H
#define TORC_TESTS_LIB_LOG_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "store/log.h"
#include "store/sim_device.h"

enum {
    LOG_MODEL_GROUPS = 4, /* Numbers 0 to 3. */
    LOG_MODEL_SLOTS = 64, /* Slots 1 to 63; 0 stands for the replica record. */
};

struct log_model_slot {
    uint64_t kind; /* enum store_record_kind; 0: none. */
    uint64_t tag;
    struct base_ballot ballot;
    struct base_ballot origin;
    uint64_t payload_size;
    uint64_t payload_hash;
};

/* Plain words throughout, so that memcmp compares. */
struct log_model_group {
    uint64_t replica; /* 0: none. */
    uint64_t mark;
    struct base_ballot promise;
    struct log_model_slot slots[LOG_MODEL_SLOTS];
};

struct log_model {
    struct log_model_group groups[LOG_MODEL_GROUPS];
};

void log_model_apply(struct log_model *model, const struct store_record *record);
/* Forgets the entries at or below each group's position: nobody needs them. */
void log_model_trim(struct log_model *model, const uint64_t *trimmed);
bool log_model_equal(const struct log_model *a, const struct log_model *b);

struct log_disk {
    const struct base_allocator *allocator;
    struct store_sim_device *sim;
    struct store_device device;
    struct store_superblock superblock;
    struct store_log_config config;
    struct store_log *log;              /* NULL: not open. */
    struct log_model model;             /* What the last open said. */
    uint64_t flushed[LOG_MODEL_GROUPS]; /* What the visitor answers. */
    uint64_t record_count;              /* Records that the last open gave. */
    uint32_t highest_group;             /* Among those records. */
    uint64_t damaged_count; /* Damages of groups that it reported, and the last of them. */
    uint32_t damaged_group;
    uint64_t damaged_slot;
    struct store_log_damage damage; /* Of the whole log, when open returned TORC_DAMAGED. */
};

/* Blocks and sectors of `block_size` bytes; segments of `blocks` blocks; formatted, not open. */
void log_disk_init(struct log_disk *disk, const struct base_allocator *allocator,
                   uint32_t block_size, uint32_t blocks, uint32_t batch_size_max);
/* As `from`, not open, over a clone of its device. */
void log_disk_clone(struct log_disk *disk, const struct log_disk *from);
void log_disk_fini(struct log_disk *disk);
/* Loads the superblock and opens the log: the first status that is not TORC_OK. */
enum torc_status log_disk_open(struct log_disk *disk);
void log_disk_close(struct log_disk *disk);
/* Appends and expects success; returns the batch. */
uint64_t log_disk_append(struct log_disk *disk, const struct store_record *records, size_t count);

/* Records of group `group`, replica id 100 + group; ballots are (round, 1, 1). */
struct store_record log_record_replica(uint32_t group);
struct store_record log_record_promise(uint32_t group, uint64_t round);
struct store_record log_record_entry(uint32_t group, uint64_t slot, uint64_t round,
                                     struct base_bytes payload);
struct store_record log_record_learned(uint32_t group, uint64_t slot, struct base_bytes payload);
struct store_record log_record_mark(uint32_t group, uint64_t slot);
struct store_record log_record_drop(uint32_t group);

#endif /* TORC_TESTS_LIB_LOG_DISK_H */

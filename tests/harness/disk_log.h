/*
 * tests/harness/disk_log -- the product's log over a simulated device, under a harness disk: a
 * crash in the middle of a write leaves whatever the device kept of its sectors.
 */
#ifndef TORC_TESTS_HARNESS_DISK_LOG_H
#define TORC_TESTS_HARNESS_DISK_LOG_H

#include "base/prng.h"
#include "paxos/consensus.h"
#include "store/record.h"

struct disk_batch;
struct disk_log;

/* An empty log. `allocator` and `prng` are borrowed. */
struct disk_log *disk_log_new(const struct base_allocator *allocator, struct base_prng *prng);
/* NULL is a no-op. */
void disk_log_free(struct disk_log *log);
/* Writes and syncs the batches, in one append. */
void disk_log_append(struct disk_log *log, const struct disk_batch *batches, uint32_t count);
void disk_log_trim(struct disk_log *log, uint64_t slot);
/* The process ends in the middle of appending the batches (0: between two appends), with the power
 * or without; then the log is opened again and `found` is given every record that survived. */
void disk_log_crash(struct disk_log *log, bool power, const struct disk_batch *batches,
                    uint32_t count, void (*found)(void *context, const struct store_record *record),
                    void *context);

#endif /* TORC_TESTS_HARNESS_DISK_LOG_H */

/* What shard/driver's disk.c and the storage thread do, on a simulated disk. */
#include "tests/sim/disk.h"

#include <string.h>

#include "base/assert.h"

enum {
    DISK_LOAD_ENTRIES_MAX = 64,
    DISK_PREPARES_MAX = 64,
    DISK_BATCHES_TORN_MAX = 8, /* That a crash in the middle of one append may leave. */
};

/* ---- Identity. */

static void new_store(struct sim *sim, struct sim_host *host)
{
    struct store_sim_config config = {.sector_size = sim->options.sector_size,
                                      .capacity_max = DISK_CAPACITY_MAX};
    host->device = store_sim_device_new(&config, sim->allocator);
    host->interface = store_sim_device_of(host->device);
    host->kv = store_sim_kv_new(sim->allocator, sim_draw(sim, 0, UINT64_MAX - 1));
}

void disk_format(struct sim *sim, struct sim_host *host)
{
    new_store(sim, host);
    host->superblock = (struct store_superblock){.node = host->id,
                                                 .feature_level = 1,
                                                 .block_size = sim->options.sector_size,
                                                 .segment_size = sim->options.segment_size};
    for (size_t i = 0; i < STORE_ID_SIZE; i++)
        host->superblock.storage_id[i] = (uint8_t)sim_draw(sim, 0, 255);
    memcpy(host->superblock.cluster_id, sim->cluster.bytes, STORE_ID_SIZE);
    enum torc_status status = store_superblock_format(&host->interface, &host->superblock);
    TORC_ASSERT(status == TORC_OK);
}

/* Of a node that is down. The state is copied as one flushed batch. */
void disk_copy(struct sim *sim, const struct sim_host *host, struct sim_copy *ret_copy)
{
    TORC_ASSERT(host->node == NULL && host->log == NULL);
    disk_copy_free(ret_copy);
    ret_copy->device = store_sim_device_clone(host->device);
    ret_copy->kv = store_sim_kv_new(sim->allocator, sim->options.seed);
    struct store_batch *batch = store_batch_new(sim->allocator);
    struct store_iterator *iterator =
        store_kv_iterate(host->kv, NULL, base_bytes_of("\0", 1), base_bytes_of(NULL, 0));
    struct base_bytes key, value;
    while (store_iterator_next(iterator, &key, &value) == TORC_OK)
        store_batch_put(batch, key, value);
    store_iterator_free(iterator);
    if (store_batch_count(batch) > 0) {
        enum torc_status status = store_kv_write(ret_copy->kv, batch);
        TORC_ASSERT(status == TORC_OK);
    }
    store_batch_free(batch);
    store_kv_flush(ret_copy->kv);
    ret_copy->batch = host->end_batch;
}

void disk_copy_free(struct sim_copy *copy)
{
    if (copy->device == NULL)
        return;
    store_sim_device_free(copy->device);
    store_kv_close(copy->kv);
    *copy = (struct sim_copy){0};
}

/* ---- The storage thread. */

static void job_clear(struct sim *sim, struct sim_job *job)
{
    for (size_t i = 0; i < job->write_count; i++) {
        shard_log_batch_free(job->writes[i], sim->allocator);
        base_free(sim->allocator, job->writes[i], sizeof(*job->writes[i]));
    }
    base_array_free(sim->allocator, job->writes, &job->writes_capacity, sizeof(*job->writes));
    base_array_free(sim->allocator, job->trims, &job->trims_capacity, sizeof(*job->trims));
    base_array_free(sim->allocator, job->loads, &job->loads_capacity, sizeof(*job->loads));
    *job = (struct sim_job){0};
}

/* Takes all that waits, and is done with it some time later. */
static void begin(struct sim *sim, struct sim_host *host)
{
    const struct sim_job *job = &host->waiting;
    bool any = job->write_count + job->trim_count + job->load_count > 0 || job->facts;
    if (host->working || !any)
        return;
    struct sim_job taken = host->waiting;
    host->waiting = host->busy; /* Its memory. */
    host->busy = taken;
    host->working = true;
    uint64_t took_us = sim_draw(sim, sim->options.sync_us_min, sim->options.sync_us_max);
    if (sim->now_us < host->slow_disk_until_us) {
        sim_happened(sim, SIM_FAULT_slow_disks);
        took_us *= host->slow_factor;
    }
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + took_us,
                                     .type = SIM_DISK,
                                     .place = host->index,
                                     .life = host->life});
}

static void note_records(struct sim *sim, const struct shard_log_batch *batch)
{
    for (size_t i = 0; i < batch->record_count; i++) {
        sim->coverage->learned_values += batch->records[i].kind == STORE_RECORD_LEARNED;
        const struct store_record *record = &batch->records[i];
        const uint64_t numbers[] = {record->kind,         record->tag,
                                    record->group,        record->replica,
                                    record->slot,         record->ballot.round,
                                    record->ballot.node,  record->ballot.incarnation,
                                    record->origin.round, record->origin.node};
        sim_note(sim, base_hash_seeded(record->payload,
                                       base_hash(base_bytes_of(numbers, sizeof(numbers)))));
    }
}

void disk_submit(struct sim *sim, struct sim_host *host, const struct shard_node_ready *ready)
{
    struct sim_job *job = &host->waiting;
    if (ready->log != NULL) {
        job->writes = base_array_reserve(sim->allocator, job->writes, &job->writes_capacity,
                                         job->write_count + 1, sizeof(*job->writes));
        job->writes[job->write_count++] = ready->log;
        note_records(sim, ready->log);
        witness_given(sim, host, ready->log);
    }
    for (size_t i = 0; i < ready->trim_count; i++) {
        job->trims = base_array_reserve(sim->allocator, job->trims, &job->trims_capacity,
                                        job->trim_count + 1, sizeof(*job->trims));
        job->trims[job->trim_count++] = ready->trims[i];
        witness_trimmed(sim, host, ready->trims[i].group, ready->trims[i].slot);
    }
    for (size_t i = 0; i < ready->load_count; i++) {
        job->loads = base_array_reserve(sim->allocator, job->loads, &job->loads_capacity,
                                        job->load_count + 1, sizeof(*job->loads));
        job->loads[job->load_count++] = ready->loads[i];
    }
    begin(sim, host);
}

void disk_ask_facts(struct sim *sim, struct sim_host *host)
{
    host->waiting.facts = true;
    begin(sim, host);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + 1000000,
                                     .type = SIM_FACTS,
                                     .place = host->index,
                                     .life = host->life});
}

static enum torc_status but_full(enum torc_status status)
{
    return status == TORC_FULL ? TORC_OK : status;
}

/* All writes become one append; then trims, and a spare segment piece by piece. Only an append's
 * outcome matters: a disk that has no room is asked again, and after an error all fails. */
static enum torc_status write_all(struct sim *sim, struct sim_host *host)
{
    const struct sim_job *job = &host->busy;
    size_t count = 0;
    for (size_t i = 0; i < job->write_count; i++) {
        const struct shard_log_batch *batch = job->writes[i];
        host->records = base_array_reserve(sim->allocator, host->records, &host->records_capacity,
                                           count + batch->record_count, sizeof(*host->records));
        for (size_t r = 0; r < batch->record_count; r++)
            host->records[count++] = batch->records[r];
    }
    disk_set(sim, host);
    uint64_t batch;
    enum torc_status status = TORC_OK;
    if (count > 0)
        status = store_log_append(host->log, host->records, count, &batch);
    for (size_t i = 0; i < job->trim_count && status == TORC_OK; i++)
        status = but_full(store_log_trim(host->log, job->trims[i].group, job->trims[i].slot));
    bool done = false;
    enum torc_status prepared = TORC_OK;
    for (int i = 0; i < DISK_PREPARES_MAX && status == TORC_OK && prepared == TORC_OK && !done; i++)
        prepared = store_log_prepare(host->log, &done);
    if (status == TORC_OK)
        status = but_full(prepared);
    if (status == TORC_OK && sim_chance(sim, 50))
        status = store_log_idle(host->log);
    return status;
}

/* False: the log does not read back. */
static bool load(struct sim *sim, struct sim_host *host, const struct shard_load *wanted)
{
    struct consensus_entry entries[DISK_LOAD_ENTRIES_MAX];
    uint32_t count = 0, size = sim->options.batch_size_max;
    if (host->buffer == NULL)
        host->buffer = base_alloc(sim->allocator, size);
    for (uint64_t slot = wanted->first; slot <= wanted->last && count < DISK_LOAD_ENTRIES_MAX;
         slot++) {
        struct store_record record;
        enum torc_status status =
            store_log_read(host->log, wanted->group, slot, host->buffer, size, &record);
        if (status != TORC_OK && status != TORC_NOT_FOUND && !host->struck)
            sim_fail(sim, "log", "node %u cannot read slot %llu: %s", host->id,
                     (unsigned long long)slot, torc_status_text(status));
        if (status != TORC_OK && status != TORC_NOT_FOUND && count == 0)
            return false;
        if (status != TORC_OK)
            break;
        entries[count] = (struct consensus_entry){.slot = slot,
                                                  .ballot = record.ballot,
                                                  .origin = record.origin,
                                                  .kind = (enum consensus_entry_kind)record.tag};
        if (entries[count].kind == CONSENSUS_VALUE)
            entries[count].value = base_buffer_copy(&host->pool, record.payload);
        if (entries[count].kind == CONSENSUS_VALUE && entries[count].value == NULL)
            break; /* No room: what there is. */
        count++;
    }
    sim->coverage->loads += count > 0;
    sim->coverage->load_entries += count;
    shard_node_loaded(host->node, wanted->group, entries, count, host_now_ms(sim, host));
    for (uint32_t i = 0; i < count; i++)
        base_buffer_unref(entries[i].value);
    return true;
}

/* A write or sync that failed ends the process: it is never tried again. */
static void end_by_disk(struct sim *sim, struct sim_host *host, enum torc_status status)
{
    host->working = false;
    if (faults_trip(sim, host, SIM_POINT_DISK))
        return;
    disk_note_errors(sim, host, status);
    bool full = status == TORC_FULL && sim->now_us < host->log_full_until_us;
    if (!full && !host->disk_failed && !host->struck)
        sim_fail(sim, "log", "node %u cannot write: %s", host->id, torc_status_text(status));
    if (full)
        sim_happened(sim, SIM_FAULT_log_full);
    sim->coverage->ended_by_full_logs += full;
    sim->coverage->ended_by_disk_errors += !full;
    sim_trace(sim, "ends by its disk", host->index, host->life, (uint64_t)status, 0);
    host_crash(sim, host, false);
    disk_start_later(sim, host, DISK_RETRY_US);
}

void disk_done(struct sim *sim, struct sim_host *host)
{
    struct sim_job *job = &host->busy;
    enum torc_status status = write_all(sim, host);
    if (status != TORC_OK) {
        end_by_disk(sim, host, status);
        return;
    }
    disk_note_errors(sim, host, status);
    sim->coverage->trims += job->trim_count;
    struct store_log_stats stats;
    store_log_stats(host->log, &stats);
    sim->coverage->segments_recycled += stats.oldest != host->segments;
    host->segments = stats.oldest;
    if (host->identity == SIM_GENUINE)
        host->durable_batch = stats.position.batch;
    host->working = false;
    if (faults_trip(sim, host, SIM_POINT_SYNCED))
        return;
    sim_trace(sim, "durable", host->index, stats.position.batch, job->write_count, stats.bytes);
    for (size_t i = 0; i < job->write_count; i++)
        witness_stored(sim, host, job->writes[i], stats.position.batch);
    for (size_t i = 0; i < job->write_count; i++)
        shard_node_stored(host->node, job->writes[i], stats.position.batch, host_now_ms(sim, host));
    job->write_count = 0;
    for (size_t i = 0; i < job->load_count; i++) {
        if (load(sim, host, &job->loads[i]))
            continue;
        end_by_disk(sim, host, TORC_DAMAGED);
        return;
    }
    if (job->facts)
        shard_node_log_facts(host->node, stats.bytes, stats.appends, stats.syncs);
    job->trim_count = job->load_count = 0;
    job->facts = false;
    if (faults_trip(sim, host, SIM_POINT_TOLD))
        return;
    begin(sim, host);
    host_turn_soon(sim, host);
}

void disk_crash(struct sim *sim, struct sim_host *host, bool power)
{
    if (host->working && host->injected == SIM_FAULT_COUNT) {
        store_sim_device_inject(host->device, STORE_SIM_STOP,
                                sim_draw(sim, 0, DISK_OPERATIONS_MAX));
        sim->coverage->crashes_in_a_write += write_all(sim, host) != TORC_OK;
    }
    struct store_log_stats stats;
    store_log_stats(host->log, &stats);
    host->end_batch = stats.position.batch + DISK_BATCHES_TORN_MAX;
    host->working = false;
    job_clear(sim, &host->waiting);
    job_clear(sim, &host->busy);
    store_log_close(host->log);
    host->log = NULL;
    if (power)
        disk_lose_power(sim, host);
    else
        store_sim_device_process_crash(host->device);
}

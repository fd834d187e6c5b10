/* What shard/driver's storage.c does at a start, in its order, and what may come of it on a disk
 * that lost something. */
#include "base/assert.h"
#include "base/mutant.h"
#include "tests/sim/disk.h"

enum { DISK_RECOVERY_CRASHES_MAX = 3, DISK_DOWN_US_MIN = 1000 };

struct visit {
    struct sim *sim;
    struct sim_host *host;
};

static void visit_record(void *context, const struct store_record *record)
{
    const struct visit *visit = context;
    witness_found(visit->sim, visit->host, record);
    shard_recovery_record(visit->host->recovery, record);
}

static void visit_damage(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    struct sim_host *host = ((const struct visit *)context)->host;
    shard_recovery_damaged(host->recovery, group, replica, slot);
    if (group < SIM_GROUPS_MAX && slot > host->damaged_slot[group])
        host->damaged_slot[group] = slot;
}

static uint64_t visit_flushed(void *context, uint32_t group)
{
    return shard_recovery_flushed(((const struct visit *)context)->host->recovery, group);
}

void disk_set(struct sim *sim, struct sim_host *host)
{
    bool full = !sim->healed && sim->now_us < host->log_full_until_us;
    store_sim_device_resize(host->device, full ? 0 : DISK_CAPACITY_MAX);
}

static enum torc_status open_log(struct sim *sim, struct sim_host *host,
                                 struct store_log_damage *ret_damage)
{
    bool repaired;
    disk_set(sim, host);
    enum torc_status status = store_superblock_load(&host->interface, &host->superblock, &repaired);
    if (status != TORC_OK)
        return status;
    struct store_log_config config = {
        .batch_size_max = sim->options.batch_size_max, .spare_segments = 1, .slack_segments = 2};
    host->recovery = shard_recovery_new(host->kv, &host->pool, sim->allocator);
    struct visit visit = {.sim = sim, .host = host};
    struct store_log_visitor visitor = {.context = &visit,
                                        .record = visit_record,
                                        .damaged = visit_damage,
                                        .flushed = visit_flushed};
    witness_opening(sim);
    return store_log_open(&config, &host->interface, sim->allocator, &host->superblock, &visitor,
                          ret_damage, &host->log);
}

static void note_loadable(struct sim_host *host)
{
    for (size_t i = 0; i < shard_recovery_count(host->recovery); i++) {
        uint32_t group = shard_recovery_at(host->recovery, i)->group;
        uint64_t first, last;
        if (store_log_range(host->log, group, &first, &last))
            shard_recovery_loadable(host->recovery, group, first);
    }
}

struct fates {
    struct sim *sim;
    bool tears;
};

static enum store_sim_fate draw_fate(void *context)
{
    struct fates *fates = context;
    uint64_t drawn = sim_draw(fates->sim, 0, 9);
    if (fates->tears && drawn == 9) {
        sim_happened(fates->sim, SIM_FAULT_torn);
        return STORE_SIM_TORN;
    }
    fates->sim->coverage->sectors_lost += drawn < 4;
    return drawn < 4 ? STORE_SIM_LOST : STORE_SIM_KEPT;
}

/* A disk that tears below the unit that the log assumes may make it say "damaged" (ADR 1). */
void disk_lose_power(struct sim *sim, struct sim_host *host)
{
    uint64_t lost = sim->coverage->sectors_lost;
    size_t pending = store_sim_device_pending(host->device);
    struct fates fates = {.sim = sim};
    fates.tears = pending > 0 && sim_has(sim, SIM_FAULT_torn) && sim_chance(sim, 300) &&
                  faults_may_doom(sim, host);
    host->struck |= fates.tears || host->lied;
    store_sim_device_power_loss(host->device, draw_fate, &fates);
    lost = sim->coverage->sectors_lost - lost;
    sim->coverage->sectors_torn += lost > 0 && lost < pending;
}

static bool dies_again(struct sim *sim, struct sim_host *host)
{
    bool wanted = sim->born && !sim->healed && sim_has(sim, SIM_FAULT_recovery) &&
                  host->identity == SIM_GENUINE && host->injected == SIM_FAULT_COUNT &&
                  host->recovery_crashes < DISK_RECOVERY_CRASHES_MAX && sim_chance(sim, 250);
    host->recovery_crashes = wanted ? host->recovery_crashes + 1 : 0;
    if (wanted)
        store_sim_device_inject(host->device, STORE_SIM_STOP,
                                sim_draw(sim, 0, DISK_OPERATIONS_MAX));
    return wanted;
}

static void close_log(struct sim_host *host)
{
    shard_recovery_free(host->recovery);
    host->recovery = NULL;
    store_log_close(host->log);
    host->log = NULL;
}

void disk_note_errors(struct sim *sim, struct sim_host *host, enum torc_status status)
{
    enum sim_fault injected = host->injected;
    faults_note_disk(sim, host);
    bool error = injected == SIM_FAULT_write_errors || injected == SIM_FAULT_sync_errors;
    host->disk_failed = status == TORC_IO && error && host->injected != injected;
}

void disk_start_later(struct sim *sim, const struct sim_host *host, uint64_t us)
{
    sim_push(sim, (struct sim_event){
                      .at_us = sim->now_us + us, .type = SIM_RESTART, .place = host->index});
}

static void fall(struct sim *sim, struct sim_host *host)
{
    sim_trace(sim, "crash again", host->index, host->life, 0, 0);
    sim_happened(sim, SIM_FAULT_recovery);
    close_log(host);
    if (sim_has(sim, SIM_FAULT_power) && sim_chance(sim, 500))
        disk_lose_power(sim, host);
    else
        store_sim_device_process_crash(host->device);
    disk_start_later(sim, host, DISK_DOWN_US_MIN);
}

/* The log does not open. A machine whose disk forgot stays away for good. */
static void refuse(struct sim *sim, struct sim_host *host, enum torc_status status,
                   const struct store_log_damage *damage)
{
    faults_note_disk(sim, host);
    close_log(host);
    store_sim_device_process_crash(host->device);
    if (status == TORC_DAMAGED && host->struck && host->identity == SIM_GENUINE) {
        host->lost = true;
        sim->coverage->damaged_logs++;
        sim_trace(sim, "refuses", host->index, host->life, damage->segment, damage->batch);
        return;
    }
    if (status == TORC_DAMAGED)
        sim_fail(sim, "recovery", "node %u's log is damaged after a crash: %s, segment %llu",
                 host->id, store_log_flaw_text(damage->flaw), (unsigned long long)damage->segment);
    bool full = status == TORC_FULL && sim->now_us < host->log_full_until_us;
    bool failed = status == TORC_IO && host->disk_failed;
    if (!full && !failed)
        sim_fail(sim, "recovery", "node %u does not open its log: %s", host->id,
                 torc_status_text(status));
    if (full)
        sim_happened(sim, SIM_FAULT_log_full);
    host->disk_failed = false;
    sim_trace(sim, "refuses", host->index, host->life, (uint64_t)status, 0);
    disk_start_later(sim, host, DISK_RETRY_US);
}

/* What was damaged stays so: ADR 1. Only an entry that was learned since is missed no more, be it
 * in the flushed state or in a record of the log, which takes the place of the damaged one when
 * that one's segment is recycled: it is chosen, and what was promised with it was never lost. */
static bool is_made_good(const struct sim_host *host, const struct shard_recovered *replica)
{
    uint64_t slot = host->damaged_slot[replica->group];
    bool learned = false;
    for (size_t i = 0; i < replica->entry_count; i++)
        learned |= replica->entries[i].slot == slot;
    return slot > 0 && (learned || replica->flushed >= slot);
}

static void note_damage(struct sim *sim, struct sim_host *host)
{
    uint32_t damaged = 0, made_good = 0;
    for (size_t i = 0; i < shard_recovery_count(host->recovery); i++) {
        const struct shard_recovered *replica = shard_recovery_at(host->recovery, i);
        damaged |= (uint32_t)replica->damaged << replica->group;
        made_good |= (uint32_t)is_made_good(host, replica) << replica->group;
    }
    if (host->identity != SIM_GENUINE)
        return;
    if (damaged != 0 && !host->struck)
        sim_fail(sim, "recovery", "node %u finds a replica damaged after a crash", host->id);
    if ((host->amnesiac & ~damaged & ~made_good) != 0)
        sim_fail(sim, "amnesiac", "node %u has forgotten that a replica is damaged", host->id);
    sim->coverage->damaged_replicas += (damaged & ~host->amnesiac) != 0;
    host->amnesiac = damaged;
}

/* Whether the log has all that it ever called durable: the numbers of batches and lives tell. */
static bool is_whole(struct sim *sim, struct sim_host *host, uint64_t batch)
{
    if (host->identity != SIM_GENUINE)
        return true;
    /* With that bug it is no sign, and others are to notice what comes of it. */
    bool newer =
        host->superblock.incarnation > host->incarnation || TORC_MUTANT(INCARNATION_REUSED);
    bool whole = batch >= host->durable_batch && newer;
    if (!whole && !host->forgetful)
        sim_fail(sim, "recovery", "node %u's log ends at batch %llu after %llu was durable",
                 host->id, (unsigned long long)batch, (unsigned long long)host->durable_batch);
    if (!whole)
        faults_tail_lost(sim, host, batch);
    host->incarnation = host->superblock.incarnation;
    host->durable_batch = batch;
    return !host->lost;
}

bool disk_open(struct sim *sim, struct sim_host *host, uint64_t *ret_batch)
{
    bool dies = dies_again(sim, host);
    struct store_log_damage damage = {0};
    enum torc_status status = open_log(sim, host, &damage);
    if (status == TORC_OK) {
        if (host->superblock.incarnation == 0 || !TORC_MUTANT(INCARNATION_REUSED))
            host->superblock.incarnation++;
        status = store_superblock_update(&host->interface, &host->superblock);
    }
    if (dies) {
        fall(sim, host);
        return false;
    }
    disk_note_errors(sim, host, status);
    if (status != TORC_OK) {
        refuse(sim, host, status, &damage);
        return false;
    }
    if (shard_recovery_status(host->recovery) != TORC_OK)
        sim_fail(sim, "recovery", "node %u has no room for what its log replays", host->id);
    note_loadable(host);
    note_damage(sim, host);
    store_log_check(host->log);
    struct store_log_stats stats;
    store_log_stats(host->log, &stats);
    host->segments = stats.oldest;
    sim->coverage->torn_batches += stats.torn_batches;
    *ret_batch = stats.position.batch;
    if (is_whole(sim, host, *ret_batch)) {
        witness_recovered(sim, host, *ret_batch);
        return true;
    }
    close_log(host);
    return false;
}

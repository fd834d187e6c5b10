/* Disks that are slow, full, refuse, lie and forget. */
#include <string.h>

#include "base/assert.h"
#include "store/block.h"
#include "tests/sim/faults.h"

enum {
    DISKS_OPERATIONS_MAX = 60, /* Until what was put in the way is met. */
    DISKS_WHILE_US_MAX = 3000000,
    DISKS_FULL_US_MAX = 30000000, /* A segment lasts for a while. */
    DISKS_SLOW_MIN = 10,
    DISKS_SLOW_MAX = 100,
    DISKS_LAST_BLOCKS = 3, /* That were written last. */
    DISKS_KEYS_MAX = 3,    /* Of the state, rotten at a time. */
};

/* ---- The budget. */

bool faults_may_doom(struct sim *sim, struct sim_host *host)
{
    uint32_t doomed = 0;
    if (host->identity != SIM_GENUINE)
        return false;
    for (uint32_t i = 0; i < sim->options.nodes; i++)
        doomed += sim->hosts[i].doomed;
    if (!host->doomed && doomed >= (sim->options.replicas - 1) / 2)
        return false;
    host->doomed = true;
    return true;
}

/* One that runs and may forget; NULL: none. The one that already may, most of the time. */
static struct sim_host *victim(struct sim *sim)
{
    struct sim_host *host = fault_any_host(sim);
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (sim->hosts[i].doomed)
            host = &sim->hosts[i];
    }
    return host->node != NULL && faults_may_doom(sim, host) ? host : NULL;
}

/* ---- What the log's disk does to single operations. */

static void inject(struct sim *sim, struct sim_host *host, enum sim_fault fault,
                   enum store_sim_fault how)
{
    if (host == NULL || host->node == NULL || host->identity != SIM_GENUINE ||
        host->trap.point == SIM_POINT_DISK || host->injected != SIM_FAULT_COUNT)
        return;
    host->injected = fault;
    store_sim_device_inject(host->device, how, sim_draw(sim, 0, DISKS_OPERATIONS_MAX));
    sim_trace(sim, "disk fault to come", host->index, fault, 0, 0);
}

void faults_note_disk(struct sim *sim, struct sim_host *host)
{
    struct store_sim_counters counters;
    store_sim_device_counters(host->device, &counters);
    if (host->injected != SIM_FAULT_COUNT && counters.faults > host->faults_met) {
        bool harmful =
            host->injected == SIM_FAULT_misdirected || host->injected == SIM_FAULT_lost_writes;
        host->forgetful |= harmful;
        host->struck |= harmful;
        sim_happened(sim, host->injected);
        sim_trace(sim, "disk fault", host->index, host->injected, 0, 0);
        host->injected = SIM_FAULT_COUNT;
    }
    host->faults_met = counters.faults;
}

void fault_misdirected(struct sim *sim)
{
    inject(sim, victim(sim), SIM_FAULT_misdirected, STORE_SIM_MISDIRECTED);
}

void fault_lost_writes(struct sim *sim)
{
    inject(sim, victim(sim), SIM_FAULT_lost_writes, STORE_SIM_LOST_WRITE);
}

void fault_write_errors(struct sim *sim)
{
    inject(sim, fault_some_host(sim), SIM_FAULT_write_errors, STORE_SIM_ERROR);
}

void fault_sync_errors(struct sim *sim)
{
    inject(sim, fault_some_host(sim), SIM_FAULT_sync_errors, STORE_SIM_SYNC_ERROR);
}

/* ---- A disk that says synced and is not. */

void fault_lying(struct sim *sim)
{
    struct sim_host *host = victim(sim);
    if (host == NULL || host->lying)
        return;
    host->lying = host->lied = host->forgetful = true;
    store_sim_device_lie(host->device, true);
    sim_trace(sim, "lying disk", host->index, host->life, 0, 0);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + sim_draw(sim, 1000, DISKS_WHILE_US_MAX),
                                     .type = SIM_STRIKE,
                                     .place = host->index});
}

/* The power goes; from then on it tells the truth. */
void fault_strike(struct sim *sim, struct sim_host *host)
{
    if (!host->lying || host->identity != SIM_GENUINE)
        return;
    sim_happened(sim, SIM_FAULT_lying);
    if (host->node != NULL)
        (void)fault_crash(sim, host, true);
    else
        disk_lose_power(sim, host);
    host->lying = false;
    store_sim_device_lie(host->device, false);
}

void faults_tail_lost(struct sim *sim, struct sim_host *host, uint64_t batch)
{
    bool known = fault_witness(sim, host, host->kv, batch) != NULL;
    host->identity = SIM_SHORT;
    host->lost = !known;
    sim_trace(sim, known ? "tail lost" : "tail lost, unknown", host->index, host->life, batch,
              host->durable_batch);
    sim->coverage->lost_tails_unknown += !known;
    if (known)
        fault_stand_by(sim, host);
}

/* ---- Rot. */

/* A bit of what the log wrote last: often of what a block says of itself. */
static uint64_t draw_last_bit(struct sim *sim, const struct store_position *position)
{
    uint64_t size = sim->options.sector_size, bytes = position->block * size;
    uint64_t last = position->block < DISKS_LAST_BLOCKS ? position->block : DISKS_LAST_BLOCKS;
    if (last == 0 || sim_chance(sim, 500))
        return sim_draw(sim, 0, bytes * 8 - 1);
    uint64_t block = position->block - sim_draw(sim, 1, last);
    /* The low bytes of its words: there a flip makes another number that might be. */
    uint64_t bit = sim_draw(sim, 0, STORE_BLOCK_STAMP_SIZE * 8 - 1);
    return block * size * 8 + (sim_chance(sim, 600) ? bit / 64 * 64 + bit % 8 : bit);
}

/* Half of it where the log was written last, the rest anywhere. */
static void flip_log(struct sim *sim, struct sim_host *host)
{
    uint64_t segment = 0, size = 0, chosen = 0;
    for (uint64_t seen = 1;
         host->interface.next(host->interface.context, segment, &segment, &size) == TORC_OK; seen++)
        chosen = sim_draw(sim, 0, seen - 1) == 0 ? segment : chosen;
    struct store_log_stats stats;
    store_log_stats(host->log, &stats);
    bool last = stats.position.segment != 0 && sim_chance(sim, 600);
    if (chosen == 0 && !last)
        return;
    uint64_t bit = last ? draw_last_bit(sim, &stats.position)
                        : sim_draw(sim, 0, sim->options.segment_size * 8 - 1);
    chosen = last ? stats.position.segment : chosen;
    if (store_sim_device_flip(host->device, chosen, bit) != TORC_OK)
        return;
    host->struck = true;
    sim_happened(sim, SIM_FAULT_rot);
    sim_trace(sim, "rot", host->index, host->life, chosen, bit);
}

void fault_rot(struct sim *sim)
{
    struct sim_host *host = victim(sim);
    if (host == NULL)
        return;
    if (sim_chance(sim, 850)) {
        flip_log(sim, host);
        if (sim_chance(sim, 500)) /* It is read at once. */
            (void)fault_crash(sim, host, sim_chance(sim, 500));
        return;
    }
    unsigned copy = (unsigned)sim_draw(sim, 0, STORE_SUPERBLOCK_COPIES - 1);
    uint32_t bit = (uint32_t)sim_draw(sim, 0, STORE_SUPERBLOCK_SIZE * 8 - 1);
    if (store_sim_device_flip_superblock(host->device, copy, bit) != TORC_OK)
        return;
    host->struck = true;
    sim_happened(sim, SIM_FAULT_rot);
    sim_trace(sim, "rot of the superblock", host->index, host->life, copy, bit);
}

static bool is_of_group(struct base_bytes key)
{
    return key.size > SHARD_KEY_SPACE_SIZE &&
           (key.data[0] == 'd' || key.data[0] == 'e' || key.data[0] == 'g');
}

/* Some keys of one group, next to each other as in one block of a file. */
void fault_state_rot(struct sim *sim)
{
    struct sim_host *host = victim(sim);
    if (host == NULL || host->rotten != 0)
        return;
    uint8_t first[64], end[65];
    size_t first_size = 0, end_size = 0;
    struct store_iterator *iterator =
        store_kv_iterate(host->kv, NULL, base_bytes_of("\0", 1), base_bytes_of(NULL, 0));
    struct base_bytes key, value;
    uint64_t keys = sim_draw(sim, 1, DISKS_KEYS_MAX);
    for (uint64_t seen = 1, taken = 0; store_iterator_next(iterator, &key, &value) == TORC_OK;) {
        if (!is_of_group(key) || key.size > sizeof(first))
            continue;
        if (sim_draw(sim, 0, seen++ - 1) == 0) {
            memcpy(first, key.data, first_size = key.size);
            taken = 0;
        }
        if (taken++ < keys && memcmp(first, key.data, SHARD_KEY_SPACE_SIZE) == 0) {
            memcpy(end, key.data, key.size);
            end[key.size] = 0;
            end_size = key.size + 1;
        }
    }
    store_iterator_free(iterator);
    if (first_size == 0)
        return;
    store_sim_kv_rot(host->kv, base_bytes_of(first, first_size), base_bytes_of(end, end_size));
    uint32_t group = base_get_be32(first + 1);
    host->rotten |= 1u << group;
    sim_trace(sim, "rot of the state", host->index, group, first[0], end_size);
}

/* ---- For a while. */

void fault_log_full(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    host->log_full_until_us = sim->now_us + sim_draw(sim, 10000, DISKS_FULL_US_MAX);
    sim_trace(sim, "log full", host->index, host->life, 0, 0);
}

void fault_slow_disks(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    host->slow_factor = (uint32_t)sim_draw(sim, DISKS_SLOW_MIN, DISKS_SLOW_MAX);
    host->slow_disk_until_us = sim->now_us + sim_draw(sim, 10000, DISKS_WHILE_US_MAX);
    sim_trace(sim, "slow disk", host->index, host->life, host->slow_factor, 0);
}

void fault_full(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    host->full_until_us = sim->now_us + sim_draw(sim, 10000, 2000000);
    sim_trace(sim, "full", host->index, host->life, 0, 0);
}

/* What shard/driver/host.c does with a node core, on simulated time. */
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "tests/sim/sim.h"

enum {
    HOST_POOL_SIZE = 64 << 20,
    HOST_FACTS_US = 1000000,
    HOST_WALL_MS = 1000000000, /* Of the true clock at its zero. */
    HOST_PPM = 1000000,
    HOST_CHECK_TURNS = 50, /* What is linear in a node's log and records is checked so seldom. */
};

void host_init(struct sim *sim, uint32_t index)
{
    const struct sim_options *options = &sim->options;
    struct sim_host *host = &sim->hosts[index];
    host->index = index;
    host->id = index + 1;
    host->turn_us = UINT64_MAX;
    host->own_rate = 1000;
    host->injected = SIM_FAULT_COUNT;
    if (sim_has(sim, SIM_FAULT_clocks)) {
        sim_happened(sim, SIM_FAULT_clocks);
        host->own_rate = (uint32_t)sim_draw(sim, options->rate_min, options->rate_max);
        host->wall_error_ms = (int64_t)sim_draw(sim, 0, 2 * options->wall_error_ms_max) -
                              (int64_t)options->wall_error_ms_max;
    }
    host->clock_rate = host->own_rate;
    base_pool_init(&host->pool, sim->allocator, HOST_POOL_SIZE);
    disk_format(sim, host);
}

void host_hold(struct sim *sim, struct sim_host *host, const struct sim_event *event)
{
    host->held = base_array_reserve(sim->allocator, host->held, &host->held_capacity,
                                    host->held_count + 1, sizeof(*host->held));
    host->held[host->held_count++] = *event;
}

/* What was held comes at once, in its order. */
void host_resume(struct sim *sim, struct sim_host *host)
{
    host->paused = false;
    for (size_t i = 0; i < host->held_count; i++) {
        struct sim_event event = host->held[i];
        if (event.type == SIM_TURN && event.at_us == host->turn_us)
            host->turn_us = sim->now_us;
        event.at_us = sim->now_us;
        sim_push(sim, event);
    }
    host->held_count = 0;
}

static void close_process(struct sim *sim, struct sim_host *host, bool power)
{
    counters_host(sim, host);
    shard_node_check(host->node);
    disk_crash(sim, host, power);
    shard_node_free(host->node);
    host->node = NULL;
    store_kv_close(host->gather);
    store_kv_close(host->cache);
    host->gather = host->cache = NULL;
    host->turn_us = UINT64_MAX;
    host_resume(sim, host);
}

void host_fini(struct sim *sim, struct sim_host *host)
{
    if (host->node != NULL)
        close_process(sim, host, false);
    store_kv_close(host->kv);
    store_sim_device_free(host->device);
    disk_copy_free(&host->old);
    disk_copy_free(&host->genuine);
    base_array_free(sim->allocator, host->records, &host->records_capacity, sizeof(*host->records));
    base_array_free(sim->allocator, host->held, &host->held_capacity, sizeof(*host->held));
    base_free(sim->allocator, host->buffer, sim->options.batch_size_max);
    base_pool_fini(&host->pool);
}

/* ---- Clocks: monotonic ones start anywhere and run fast or slow; wall clocks are also wrong. */

static uint64_t run_ms(const struct sim *sim, const struct sim_host *host)
{
    return host->clock_ms + (sim->now_us - host->clock_at_us) * host->clock_rate / 1000000;
}

uint64_t host_now_ms(const struct sim *sim, const struct sim_host *host)
{
    return 1000000u * host->id + run_ms(sim, host);
}

/* Somebody looks after these: what is wrong with them is wall_error_ms. */
uint64_t host_wall_ms(const struct sim *sim, const struct sim_host *host)
{
    uint64_t since_ms = sim->now_us / 1000 * host->own_rate / 1000;
    return (uint64_t)((int64_t)(HOST_WALL_MS + since_ms) + host->wall_error_ms);
}

void host_clock_set(struct sim *sim, struct sim_host *host, uint32_t rate)
{
    host->clock_ms = run_ms(sim, host);
    host->clock_at_us = sim->now_us;
    host->clock_rate = rate;
}

/* What lasts for a while ends by itself. */
static void end_whiles(struct sim *sim, struct sim_host *host)
{
    if (host->clock_rate != host->own_rate && sim->now_us >= host->drift_until_us)
        host_clock_set(sim, host, host->own_rate);
    if (sim->now_us >= host->little_until_us)
        host->pool.bytes_max = HOST_POOL_SIZE;
}

void host_heal(struct sim *sim, struct sim_host *host)
{
    faults_note_disk(sim, host);
    host_resume(sim, host);
    host->drift_until_us = host->slow_until_us = host->slow_disk_until_us = 0;
    host->log_full_until_us = host->little_until_us = host->full_until_us = 0;
    host->trap = (struct sim_trap){0};
    host->injected = SIM_FAULT_COUNT;
    host->lying = false;
    store_sim_device_spare(host->device);
    store_sim_device_lie(host->device, false);
    end_whiles(sim, host);
}

/* ---- Life. */

void host_crash(struct sim *sim, struct sim_host *host, bool power)
{
    TORC_ASSERT(host->node != NULL);
    sim->coverage->deaths++;
    sim_trace(sim, power ? "power loss" : "crash", host->index, host->life, 0, 0);
    close_process(sim, host, power);
    faults_note_disk(sim, host);
    host->trap = (struct sim_trap){0};
    host->injected = SIM_FAULT_COUNT;
    host->pool.bytes_max = HOST_POOL_SIZE;
    uint64_t unflushed = store_sim_kv_unflushed_batches(host->kv);
    uint64_t keep = sim_draw(sim, 0, unflushed);
    sim->coverage->state_batches_lost += unflushed - keep;
    store_sim_kv_crash(host->kv, keep);
    sim_note(sim, keep);
}

static struct shard_node_config node_config(const struct sim *sim, const struct sim_host *host,
                                            uint64_t batch)
{
    struct shard_node_config config = sim->options.node;
    config.cluster = sim->cluster;
    memcpy(config.storage.bytes, host->superblock.storage_id, WIRE_ID_SIZE);
    config.id = host->id;
    config.incarnation = host->superblock.incarnation;
    config.recovered_batch = batch;
    config.lease_max_ms = host->superblock.lease_max_ms;
    config.seed = sim->options.seed ^ (uint64_t)host->id << 32 ^ config.incarnation;
    return config;
}

/* Its state is rotten, and nothing rebuilds it yet. */
static void stay_away(struct sim *sim, struct sim_host *host)
{
    host->lost = true;
    sim->coverage->damaged_states++;
    sim_trace(sim, "refuses", host->index, host->life, 0, 0);
    disk_crash(sim, host, false);
    store_kv_close(host->gather);
    store_kv_close(host->cache);
    host->gather = host->cache = NULL;
}

/* What the node asked of its state and its memory, and did not get. */
static void note_met(struct sim *sim, struct sim_host *host,
                     const struct store_sim_kv_counters *before)
{
    struct store_sim_kv_counters after = store_sim_kv_counters(host->kv);
    if (after.full > before->full)
        sim_happened(sim, SIM_FAULT_full);
    if (after.rotten > before->rotten)
        sim_happened(sim, SIM_FAULT_state_rot);
    if (host->pool.refused > host->refused && host->pool.bytes_max < HOST_POOL_SIZE)
        sim_happened(sim, SIM_FAULT_memory);
    host->refused = host->pool.refused;
}

/* From each batch by itself to more than a whole run writes. */
static size_t gathered_max(const struct sim *sim)
{
    static const size_t sizes[] = {0, 1 << 10, 16 << 10, 256 << 10};
    return sizes[sim->options.seed % (sizeof(sizes) / sizeof(sizes[0]))];
}

/* From a few rows to all of a run. */
static size_t rows_max(const struct sim *sim)
{
    return STORE_CACHE_SIZE_MIN << (sim->options.seed / 4 % 3 * 5);
}

static bool serves_row(void *context, struct base_bytes state_key)
{
    return shard_node_serves_row(context, state_key);
}

void host_start(struct sim *sim, struct sim_host *host)
{
    TORC_ASSERT(host->node == NULL);
    host->life++;
    uint64_t batch;
    end_whiles(sim, host);
    if (!disk_open(sim, host, &batch))
        return;
    struct shard_node_config config = node_config(sim, host, batch);
    struct store_sim_kv_counters before = store_sim_kv_counters(host->kv);
    const char *text = "";
    host->cache = store_cache_new(sim->allocator, host->kv, rows_max(sim), sim->options.seed);
    host->gather = store_gather_new(sim->allocator, host->cache, gathered_max(sim));
    enum torc_status status =
        shard_node_new(&config, host->recovery, host->gather, &host->pool, sim->allocator,
                       host_now_ms(sim, host), host_wall_ms(sim, host), &text, &host->node);
    shard_recovery_free(host->recovery);
    host->recovery = NULL;
    note_met(sim, host, &before);
    if (status == TORC_DAMAGED && host->rotten != 0) {
        stay_away(sim, host);
        return;
    }
    if (status != TORC_OK)
        sim_fail(sim, "recovery", "node %u does not start: %s", host->id, text);
    store_cache_keep_written(host->cache, serves_row, host->node);
    memset(host->seen_batch, 0, sizeof(host->seen_batch));
    memset(host->applied, 0, sizeof(host->applied));
    host->map_version = 0;
    sim_trace(sim, "start", host->index, host->life, batch, config.incarnation);
    sim_note(sim, batch);
    host_turn_at(sim, host, sim->now_us);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + HOST_FACTS_US,
                                     .type = SIM_FACTS,
                                     .place = host->index,
                                     .life = host->life});
}

/* ---- Turns. */

void host_turn_at(struct sim *sim, struct sim_host *host, uint64_t at_us)
{
    if (host->turn_us <= at_us)
        return;
    host->turn_us = at_us;
    sim_push(sim, (struct sim_event){
                      .at_us = at_us, .type = SIM_TURN, .place = host->index, .life = host->life});
}

void host_turn_soon(struct sim *sim, struct sim_host *host)
{
    uint64_t slow_us = 0;
    if (sim->now_us < host->slow_until_us) {
        sim_happened(sim, SIM_FAULT_slow_nodes);
        slow_us = host->slow_us;
    }
    host_turn_at(sim, host, sim->now_us + slow_us + sim_draw(sim, 0, sim->options.turn_us_max));
}

/* False: it died while it sent. */
static bool send_all(struct sim *sim, struct sim_host *host, const struct shard_node_ready *ready)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        const struct shard_send *send = &ready->sends[i];
        struct sim_head head = {.from = host->index, .route = sim_route(host->index, host->life)};
        if (send->node != 0) {
            head.to = send->node - 1;
        } else {
            head.to = (uint32_t)(send->route >> 32) - 1;
            head.to_route = send->route;
            head.on_dealer = true;
        }
        struct wire_envelope envelope;
        if (wire_envelope_read(send->message, &envelope) != TORC_OK)
            sim_fail(sim, "codec", "node %u made a message that does not decode", host->id);
        check_vote(sim, host, &envelope);
        witness_sent(sim, host, &envelope);
        if (envelope.type == WIRE_TYPE_REPLY)
            check_reply_sent(sim, host, &head, &envelope);
        network_send(sim, head, send->message);
        if (faults_trip(sim, host, SIM_POINT_SENDING))
            return false;
    }
    return true;
}

/* The kv's faults of the moment. */
static void set_faults(struct sim *sim, struct sim_host *host)
{
    bool faulty = sim->born && !sim->healed;
    struct store_sim_kv_faults faults = {0};
    host->refusing = faulty && sim_has(sim, SIM_FAULT_busy) &&
                     sim_chance(sim, host->refusing ? 700 : sim->options.busy);
    if (host->refusing)
        sim_happened(sim, SIM_FAULT_busy);
    faults.write_busy_ppm = host->refusing ? HOST_PPM : 0;
    faults.write_full = faulty && sim->now_us < host->full_until_us;
    faults.flush_waits = faulty && sim_has(sim, SIM_FAULT_flush);
    store_sim_kv_faults_set(host->kv, faults);
    if (!faults.flush_waits || sim_chance(sim, 20))
        store_sim_kv_flush_end(host->kv);
    else if (store_sim_kv_unflushed_batches(host->kv) > 0)
        sim_happened(sim, SIM_FAULT_flush);
}

static void note_info(struct sim *sim, struct sim_host *host)
{
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        struct consensus_info info;
        if (!shard_node_replica_info(host->node, g, &info))
            continue;
        if (info.serving && sim->leaders[g] != host->id) {
            sim->coverage->leader_changes += sim->leaders[g] != 0;
            sim->leader_changed |= sim->leaders[g] != 0;
            sim->leaders[g] = host->id;
            sim_trace(sim, "leads", host->index, g, info.ballot.round, info.applied);
        }
        check_lease(sim, host, g, &info);
        /* Below log_size_max no log lets go of what a voter lacks, unless that one had it once. */
        bool robbed = ((host->amnesiac | host->rotten) >> g & 1) != 0;
        if (info.behind_compaction && !robbed)
            sim_fail(sim, "trimming", "group %u: node %u needs entries that no log holds", g,
                     host->id);
    }
}

static void take_turn(struct sim *sim, struct sim_host *host, uint64_t now_ms,
                      struct shard_node_ready *ret_ready)
{
    struct store_sim_kv_counters before = store_sim_kv_counters(host->kv);
    shard_node_turn(host->node, now_ms, host_wall_ms(sim, host), ret_ready);
    note_met(sim, host, &before);
}

void host_turn(struct sim *sim, struct sim_host *host)
{
#ifdef TORC_MUTANTS
    torc_mutant_place =
        (struct torc_mutant_place){.node = host->id, .wall_ms = host_wall_ms(sim, host)};
#endif
    host->turn_us = UINT64_MAX;
    end_whiles(sim, host);
    set_faults(sim, host);
    struct shard_node_ready ready;
    uint64_t now_ms = host_now_ms(sim, host);
    take_turn(sim, host, now_ms, &ready);
    if (ready.fatal != NULL) {
        sim_trace(sim, "fatal", host->index, host->life, 0, 0);
        host->fatal = ready.fatal;
        check_refused(sim, host);
        host_crash(sim, host, false);
        return;
    }
    disk_submit(sim, host, &ready);
    if (faults_trip(sim, host, SIM_POINT_APPLIED))
        return;
    check_state(sim, host);
    if (!send_all(sim, host, &ready))
        return;
    uint64_t wait_ms = ready.wake_at_ms > now_ms ? ready.wake_at_ms - now_ms : 0;
    if (wait_ms > 1000000)
        wait_ms = 1000000;
    uint64_t wait_us = wait_ms * 1000000 / host->clock_rate + (wait_ms > 0 ? 1 : 0);
    /* A full turn of the loop takes a moment, also when the next is wanted at once. */
    host_turn_at(sim, host, sim->now_us + (wait_us > 0 ? wait_us : 100));
    note_info(sim, host);
    check_node_map(sim, host);
    if (host->turns++ % HOST_CHECK_TURNS == 0)
        shard_node_check(host->node);
}

bool host_receive(struct sim *sim, struct sim_host *host, const struct sim_head *head,
                  const struct wire_envelope *envelope)
{
    enum torc_status status = shard_node_receive(host->node, head->on_dealer ? 0 : head->route,
                                                 head->on_dealer, envelope, host_now_ms(sim, host));
    sim_trace(sim, "receive", host->index, head->from, envelope->type, (uint64_t)status);
    if (status == TORC_STALE || status == TORC_FOREIGN)
        sim->coverage->messages_refused++;
    else if (status != TORC_OK)
        sim_fail(sim, "codec", "node %u refuses a message of type %s: %s", host->id,
                 wire_type_name(envelope->type), torc_status_text(status));
    if (status == TORC_OK && head->from < SIM_NODES_MAX &&
        envelope->durable_batch > host->seen_batch[head->from])
        host->seen_batch[head->from] = envelope->durable_batch;
    host_turn_soon(sim, host);
    return status == TORC_OK;
}

struct sim_host *host_leader(struct sim *sim, uint32_t group)
{
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        struct consensus_info info;
        struct sim_host *host = &sim->hosts[i];
        if (host->node != NULL && shard_node_replica_info(host->node, group, &info) && info.serving)
            return host;
    }
    return NULL;
}

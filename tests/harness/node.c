#include "tests/harness/harness.h"

#include <stdlib.h>

#include "base/assert.h"
#include "paxos/mutant.h"

/* ---- Clocks. */

uint64_t node_clock_ms(const struct harness *harness, const struct harness_node *node)
{
    int64_t run_us = (int64_t)(harness->now_us * node->clock_rate / 1000);
    return (uint64_t)(node->clock_offset_us + run_us) / 1000;
}

uint64_t node_true_us(const struct harness_node *node, uint64_t ms)
{
    int64_t run_us = (int64_t)(ms * 1000) - node->clock_offset_us;
    if (run_us <= 0)
        return 0;
    return ((uint64_t)run_us * 1000 + node->clock_rate - 1) / node->clock_rate;
}

/* ---- Lives. */

static void schedule(struct harness *harness, struct harness_node *node, uint64_t at_us,
                     enum harness_event_type type)
{
    harness_push(harness,
                 (struct harness_event){
                     .at_us = at_us, .type = type, .node = node->index, .life = node->life});
}

static void schedule_turn(struct harness *harness, struct harness_node *node)
{
    if (node->turn_due)
        return;
    node->turn_due = true;
    uint64_t gather_us = harness_draw(harness, 0, harness->options.turn_us_max);
    schedule(harness, node, harness->now_us + gather_us, HARNESS_TURN);
}

void node_start(struct harness *harness, struct harness_node *node)
{
    const struct harness_options *options = &harness->options;
    TORC_ASSERT(node->machine == NULL);
    node->life++;
    node->started_us = harness->now_us;
    /* A clock starts anywhere, and not where it stopped in the life before. */
    node->clock_offset_us = (int64_t)harness_draw(harness, 1000, 100000000);
    node->clock_rate = (uint32_t)harness_draw(harness, options->rate_min, options->rate_max);
    node->checked_fresh_ms = 0;
    node->paused = node->turn_due = false;
    node->read_count = 0;
    struct consensus_config config = options->config;
    config.replica = node->replica;
    config.node = harness->members[node->index].node;
    config.incarnation = options->same_incarnation ? 1 : node->life;
    config.members = harness->members;
    config.member_count = harness->node_count;
    config.seed = harness_draw(harness, 0, UINT64_MAX);
    if (consensus_config_check(&config) != TORC_OK)
        harness_fail(harness, "the configuration drawn is not valid");
    struct consensus_boot boot;
    struct consensus_entry *entries;
    disk_recover(&node->disk, node->applied, &boot, &entries);
    boot.barrier = node->applied == 0 ? (struct base_ballot){.round = 0}
                                      : harness->oracle.slots[node->applied].barrier;
    boot.amnesiac = node->amnesiac;
    boot.lease_wait_ms = node->life > 1 ? config.lease_ms : 0;
    node->machine = consensus_new(&paxos_type, harness->allocator, &config, &boot,
                                  node_clock_ms(harness, node));
    if (entries != NULL)
        base_free(harness->allocator, entries,
                  (node->disk.last - node->applied) * sizeof(*entries));
    schedule_turn(harness, node);
}

static void coverage_add(struct harness *harness, const struct harness_node *node)
{
    const struct consensus_counters *from = consensus_counters(node->machine);
    struct harness_coverage *to = harness->coverage;
    to->elections_started += from->elections_started;
    to->elections_won += from->elections_won;
    to->stepped_down += from->stepped_down;
    to->adopted += from->adopted;
    to->holes_filled += from->holes_filled;
    to->ballot_mismatch += from->ballot_mismatch;
    to->learned += from->learned;
    to->loaded += from->loaded;
    to->retransmitted += from->retransmitted;
    to->canvass_refused += from->canvass_refused;
    to->lease_waits += from->lease_waits;
    to->voided += from->voided;
    to->stale_dropped += from->stale_dropped;
}

static uint64_t synced(struct harness *harness, struct harness_node *node)
{
    for (uint32_t i = 0; i < node->disk.writing; i++) {
        const struct disk_batch *batch = &node->disk.batches[i];
        for (uint32_t j = 0; j < batch->record_count; j++)
            oracle_durable(harness, node, &batch->records[j].entry);
    }
    return disk_synced(&node->disk);
}

void node_crash(struct harness *harness, struct harness_node *node, bool power)
{
    coverage_add(harness, node);
    consensus_free(node->machine);
    node->machine = NULL;
    node->paused = false;
    /* What a dead process wrote is in the page cache, and its successor makes it durable; when the
     * power goes it is there or not. */
    bool keep = !power || harness_chance(harness, 500);
    if (node->disk.writing > 0) {
        harness->coverage->batches_torn += node->disk.log != NULL;
        harness->coverage->batches_kept += keep && node->disk.log == NULL;
        harness->coverage->batches_lost += !keep && node->disk.log == NULL;
    }
    disk_crash(&node->disk, power, keep);
    for (uint64_t s = 1; s <= node->disk.last; s++) {
        if (disk_entry(&node->disk, s) != NULL)
            oracle_durable(harness, node, disk_entry(&node->disk, s));
    }
    /* The state keeps any cut of whole batches that is not older than the last flush. */
    if (node->applied > node->flushed)
        node->applied = harness_draw(harness, node->flushed, node->applied);
    node->flushed = node->applied;
}

void node_info(const struct harness_node *node, struct consensus_info *ret_info)
{
    TORC_ASSERT(node->machine != NULL);
    consensus_info(node->machine, ret_info);
}

/* ---- Steps and turns. */

enum torc_status node_step(struct harness *harness, struct harness_node *node,
                           struct consensus_event event)
{
    event.now_ms = node_clock_ms(harness, node);
    enum torc_status status = consensus_step(node->machine, &event);
    schedule_turn(harness, node);
    return status;
}

static void persist(struct harness *harness, struct harness_node *node,
                    const struct consensus_ready *ready)
{
    if (ready->record_count > 0) {
        for (uint32_t i = 0; i < ready->record_count; i++)
            oracle_record(harness, node, &ready->records[i]);
        disk_append(&node->disk, ready);
    }
    const struct harness_options *options = &harness->options;
    if (disk_write(&node->disk)) {
        uint64_t sync_us = harness_draw(harness, options->sync_us_min, options->sync_us_max);
        schedule(harness, node, harness->now_us + sync_us, HARNESS_SYNCED);
    }
}

static void answer(struct harness *harness, struct harness_node *node,
                   const struct consensus_read *read)
{
    struct harness_read asked = {.id = 0};
    for (uint32_t i = 0; i < node->read_count; i++) {
        if (node->reads[i].id == read->id) {
            asked = node->reads[i];
            node->reads[i] = node->reads[--node->read_count];
            break;
        }
    }
    if (asked.id == 0)
        harness_fail(harness, "replica %u answers a read that nobody asked", node->index + 1);
    if (read->status != TORC_OK) {
        harness->coverage->reads_failed++;
        return;
    }
    if (read->by_lease) {
        uint64_t later_us = harness_chance(harness, 700) ? 0 : harness_draw(harness, 0, 50000);
        harness_push(harness, (struct harness_event){.at_us = harness->now_us + later_us,
                                                     .type = HARNESS_LEASE_READ,
                                                     .node = node->index,
                                                     .life = node->life,
                                                     .a = node->applied,
                                                     .b = asked.must_hold});
        return;
    }
    harness->coverage->quorum_reads++;
    harness->healed_read |= harness->healed;
    oracle_read(harness, node, node->applied, asked.must_hold);
}

static void take_ready(struct harness *harness, struct harness_node *node)
{
    struct consensus_ready ready;
    consensus_ready(node->machine, &ready);
    if (harness->trace) {
        char text[1 << 16];
        consensus_format_ready(&paxos_type, &ready, text, sizeof(text));
        if (text[0] != '\0')
            printf("[%llu us] replica %u life %u (%llu ms)\n%s",
                   (unsigned long long)harness->now_us, node->index + 1, node->life,
                   (unsigned long long)node_clock_ms(harness, node), text);
    }
    persist(harness, node, &ready);
    uint32_t sent = ready.message_count;
    bool dies = harness->options.crashes && !harness->healed && !harness->scripted &&
                harness_chance(harness, 1);
    if (dies)
        sent = (uint32_t)harness_draw(harness, 0, sent);
    for (uint32_t i = 0; i < sent; i++) {
        oracle_send(harness, node, &ready.messages[i]);
        network_send(harness, &ready.messages[i]);
    }
    if (dies) {
        harness->coverage->crashes_inside_a_turn++;
        node_crash(harness, node, harness->options.power_losses && harness_chance(harness, 500));
        schedule(harness, node, harness->now_us + harness_draw(harness, 100, 300000),
                 HARNESS_RESTART);
        return;
    }
    for (uint32_t i = 0; i < ready.apply_count; i++)
        oracle_apply(harness, node, &ready.apply[i]);
    for (uint32_t i = 0; i < ready.read_count; i++)
        answer(harness, node, &ready.reads[i]);
    if (ready.load_first != 0)
        harness_push(harness, (struct harness_event){.at_us = harness->now_us +
                                                              harness_draw(harness, 10, 5000),
                                                     .type = HARNESS_LOADED,
                                                     .node = node->index,
                                                     .life = node->life,
                                                     .a = ready.load_first,
                                                     .b = ready.load_last});
    if (ready.wake_at_ms != UINT64_MAX) {
        uint64_t at_us = node_true_us(node, ready.wake_at_ms);
        node->wake_us = at_us > harness->now_us ? at_us : harness->now_us;
        schedule(harness, node, node->wake_us, HARNESS_WAKE);
    }
    if (ready.apply_count > 0) {
        struct consensus_event event = {.type = CONSENSUS_APPLIED};
        event.u.applied_slot = node->applied;
        (void)!node_step(harness, node, event);
    }
}

static void loaded(struct harness *harness, struct harness_node *node, uint64_t first,
                   uint64_t last)
{
    uint64_t count = 0;
    while (first + count <= last && disk_entry(&node->disk, first + count) != NULL)
        count++;
    struct consensus_event event = {.type = CONSENSUS_LOADED};
    event.u.loaded.entries = disk_entry(&node->disk, first);
    event.u.loaded.entry_count = (uint32_t)count;
    (void)!node_step(harness, node, event);
}

void node_handle(struct harness *harness, struct harness_node *node,
                 const struct harness_event *event)
{
    struct consensus_event step = {.type = CONSENSUS_TICK};
    switch (event->type) {
    case HARNESS_PACKET:
        step.type = CONSENSUS_RECEIVE;
        step.u.receive = &event->packet->message;
        if (node_step(harness, node, step) == TORC_MALFORMED)
            harness_fail(harness, "replica %u calls a %s malformed", node->index + 1,
                         paxos_type.message_name(event->packet->message.type));
        break;
    case HARNESS_WAKE:
        if (event->at_us == node->wake_us || node->wake_us < harness->now_us)
            (void)!node_step(harness, node, step);
        break;
    case HARNESS_TURN:
        node->turn_due = false;
        take_ready(harness, node);
        break;
    case HARNESS_SYNCED:
        step.type = CONSENSUS_PERSISTED;
        step.u.persisted_seq = synced(harness, node);
        (void)!node_step(harness, node, step);
        break;
    case HARNESS_LOADED:
        loaded(harness, node, event->a, event->b);
        break;
    case HARNESS_LEASE_READ:
        if (consensus_lease_holds(node->machine, node_clock_ms(harness, node))) {
            harness->coverage->lease_reads++;
            oracle_read(harness, node, event->a, event->b);
        } else {
            harness->coverage->lease_reads_late++;
        }
        break;
    default:
        TORC_ASSERT(!"an event that is not a node's");
    }
}

/* ---- Clients. */

void node_propose(struct harness *harness, struct harness_node *node)
{
    uint64_t size = harness_draw(harness, 8, harness->options.value_size_max);
    struct base_buffer *value = base_buffer_new(&harness->pool, size);
    uint64_t number = oracle_propose(harness, node);
    for (uint64_t i = 0; i < size; i++)
        value->data[i] = 0;
    base_put_le64(value->data, number);
    struct consensus_event event = {.type = CONSENSUS_PROPOSE};
    event.u.propose = value;
    enum torc_status status = node_step(harness, node, event);
    if (status == TORC_OK) {
        struct consensus_info info;
        node_info(node, &info);
        harness->coverage->proposals++;
        oracle_proposed(harness, number, info.last);
    }
    harness->coverage->proposals_full += status == TORC_FULL;
    base_buffer_unref(value);
}

void node_read(struct harness *harness, struct harness_node *node, enum consensus_read_mode mode)
{
    if (node->read_count == HARNESS_READS_MAX)
        return;
    struct consensus_event event = {.type = CONSENSUS_READ};
    event.u.read.id = ++harness->read_id;
    event.u.read.mode = mode;
    if (node_step(harness, node, event) == TORC_OK)
        node->reads[node->read_count++] = (struct harness_read){
            .id = event.u.read.id, .must_hold = oracle_seen_now(harness), .mode = mode};
}

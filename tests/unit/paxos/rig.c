#include "tests/unit/paxos/rig.h"

#include <string.h>

#include "base/assert.h"

void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    const struct base_allocator *allocator = counting_init(&rig->counting);
    base_pool_init(&rig->pool, allocator, 1 << 20);
    for (uint32_t i = 0; i < 3; i++)
        rig->members[i] =
            (struct consensus_member){.replica = i + 1, .node = 11 + i, .voter = true};
    rig->config = (struct consensus_config){
        .replica = 1,
        .node = 11,
        .incarnation = 1,
        .members = rig->members,
        .member_count = 3,
        .heartbeat_interval_ms = RIG_HEARTBEAT_MS,
        .election_timeout_ms = RIG_ELECTION_MS,
        .retransmit_timeout_ms = 30,
        .window_entries_max = 8,
        .window_bytes_max = 4096,
        .cache_bytes_max = 4096,
        .message_bytes_max = 4096,
        .reads_max = 8,
        .seed = 1,
    };
    rig->now_ms = 1000;
}

void rig_start(struct rig *rig, const struct consensus_boot *boot)
{
    struct consensus_boot empty = {.applied = 0};
    TORC_ASSERT(consensus_config_check(&rig->config) == TORC_OK);
    rig->machine = consensus_new(&paxos_type, &rig->counting.allocator, &rig->config,
                                 boot == NULL ? &empty : boot, rig->now_ms);
    rig->seq = 0;
    rig_turn(rig);
}

void rig_stop(struct rig *rig)
{
    consensus_free(rig->machine);
    rig->machine = NULL;
}

void rig_fini(struct rig *rig)
{
    rig_stop(rig);
    while (rig->kept_count > 0)
        base_buffer_unref(rig->kept[--rig->kept_count]);
    base_pool_fini(&rig->pool);
    counting_fini(&rig->counting);
}

enum torc_status rig_step(struct rig *rig, struct consensus_event event)
{
    event.now_ms = rig->now_ms;
    enum torc_status status = consensus_step(rig->machine, &event);
    consensus_check(rig->machine);
    return status;
}

static void keep(struct rig *rig, const struct consensus_ready *ready)
{
    TORC_ASSERT(rig->message_count + ready->message_count < RIG_ITEMS_MAX);
    TORC_ASSERT(rig->record_count + ready->record_count < RIG_ITEMS_MAX);
    TORC_ASSERT(rig->apply_count + ready->apply_count < RIG_ITEMS_MAX);
    for (uint32_t i = 0; i < ready->message_count; i++) {
        const struct consensus_message *message = &ready->messages[i];
        rig->first_entries[rig->message_count] =
            message->entry_count > 0 ? message->entries[0] : (struct consensus_entry){.slot = 0};
        rig->messages[rig->message_count++] = *message;
    }
    for (uint32_t i = 0; i < ready->record_count; i++)
        rig->records[rig->record_count++] = ready->records[i];
    for (uint32_t i = 0; i < ready->apply_count; i++)
        rig->applies[rig->apply_count++] = ready->apply[i];
    for (uint32_t i = 0; i < ready->read_count; i++)
        rig->reads[rig->read_count++] = ready->reads[i];
}

void rig_turn(struct rig *rig)
{
    struct consensus_ready ready;
    consensus_ready(rig->machine, &ready);
    keep(rig, &ready);
    if (ready.persist_seq != 0)
        rig->seq = ready.persist_seq;
    rig->mark = ready.mark;
    rig->wake_at_ms = ready.wake_at_ms;
    rig->load_first = ready.load_first;
    rig->load_last = ready.load_last;
    if (ready.apply_count > 0) {
        struct consensus_event event = {.type = CONSENSUS_APPLIED};
        event.u.applied_slot = ready.apply[ready.apply_count - 1].entry.slot;
        TORC_ASSERT(rig_step(rig, event) == TORC_OK);
        rig_turn(rig);
    }
}

void rig_sync(struct rig *rig)
{
    struct consensus_event event = {.type = CONSENSUS_PERSISTED};
    event.u.persisted_seq = rig->seq;
    TORC_ASSERT(rig_step(rig, event) == TORC_OK);
    rig_turn(rig);
}

enum torc_status rig_receive(struct rig *rig, uint64_t from, struct consensus_message message)
{
    message.from = from;
    message.to = rig->config.replica;
    if (message.incarnation == 0)
        message.incarnation = 1;
    struct consensus_event event = {.type = CONSENSUS_RECEIVE};
    event.u.receive = &message;
    enum torc_status status = rig_step(rig, event);
    rig_turn(rig);
    return status;
}

void rig_tick(struct rig *rig, uint64_t ms)
{
    rig->now_ms += ms;
    TORC_ASSERT(rig_step(rig, (struct consensus_event){.type = CONSENSUS_TICK}) == TORC_OK);
    rig_turn(rig);
}

enum torc_status rig_propose(struct rig *rig, const char *text)
{
    struct base_buffer *value = base_buffer_copy(&rig->pool, base_bytes_text(text));
    struct consensus_event event = {.type = CONSENSUS_PROPOSE};
    event.u.propose = value;
    enum torc_status status = rig_step(rig, event);
    base_buffer_unref(value);
    rig_turn(rig);
    return status;
}

enum torc_status rig_read(struct rig *rig, uint64_t id, enum consensus_read_mode mode)
{
    struct consensus_event event = {.type = CONSENSUS_READ};
    event.u.read.id = id;
    event.u.read.mode = mode;
    enum torc_status status = rig_step(rig, event);
    rig_turn(rig);
    return status;
}

struct consensus_info rig_info(const struct rig *rig)
{
    struct consensus_info info;
    consensus_info(rig->machine, &info);
    return info;
}

static uint32_t find(const struct rig *rig, enum paxos_message_type type, uint64_t to)
{
    for (uint32_t i = rig->message_count; i-- > 0;) {
        if (rig->messages[i].type == type && (to == 0 || rig->messages[i].to == to))
            return i;
    }
    return RIG_ITEMS_MAX;
}

const struct consensus_message *rig_sent(const struct rig *rig, enum paxos_message_type type,
                                         uint64_t to)
{
    uint32_t i = find(rig, type, to);
    return i == RIG_ITEMS_MAX ? NULL : &rig->messages[i];
}

const struct consensus_entry *rig_sent_entry(const struct rig *rig, enum paxos_message_type type,
                                             uint64_t to)
{
    uint32_t i = find(rig, type, to);
    return i == RIG_ITEMS_MAX ? NULL : &rig->first_entries[i];
}

void rig_forget(struct rig *rig)
{
    rig->message_count = rig->record_count = rig->apply_count = rig->read_count = 0;
}

struct base_ballot rig_ballot(uint64_t round, uint64_t replica)
{
    return (struct base_ballot){.round = round, .node = (uint32_t)(10 + replica), .incarnation = 1};
}

struct consensus_entry rig_entry(struct rig *rig, uint64_t slot, struct base_ballot ballot,
                                 const char *text)
{
    struct consensus_entry entry = {
        .slot = slot, .ballot = ballot, .origin = ballot, .kind = CONSENSUS_NOOP};
    if (text != NULL) {
        TORC_ASSERT(rig->kept_count < RIG_ITEMS_MAX);
        entry.kind = CONSENSUS_VALUE;
        entry.value = rig->kept[rig->kept_count++] =
            base_buffer_copy(&rig->pool, base_bytes_text(text));
    }
    return entry;
}

struct base_ballot rig_stand(struct rig *rig)
{
    rig_tick(rig, 2 * RIG_ELECTION_MS);
    const struct consensus_message *canvass = rig_sent(rig, PAXOS_CANVASS, 2);
    TORC_ASSERT(canvass != NULL);
    rig_receive(rig, 2,
                (struct consensus_message){.type = PAXOS_CANVASS_REPLY,
                                           .ballot = canvass->ballot,
                                           .echo = canvass->round,
                                           .flags = PAXOS_YES});
    rig_sync(rig);
    const struct consensus_message *prepare = rig_sent(rig, PAXOS_PREPARE, 2);
    TORC_ASSERT(prepare != NULL);
    return prepare->ballot;
}

struct base_ballot rig_lead(struct rig *rig)
{
    struct base_ballot ballot = rig_stand(rig);
    uint64_t first = rig_sent(rig, PAXOS_PREPARE, 2)->first;
    rig_receive(rig, 2,
                (struct consensus_message){.type = PAXOS_PROMISE,
                                           .ballot = ballot,
                                           .first = first,
                                           .last = first - 1,
                                           .flags = PAXOS_END});
    rig_sync(rig);
    TORC_ASSERT(rig_info(rig).role == CONSENSUS_LEADER);
    return ballot;
}

struct base_ballot rig_serve(struct rig *rig)
{
    struct base_ballot ballot = rig_lead(rig);
    uint64_t last = rig_info(rig).last;
    rig_accepted(rig, 2, ballot, 1, last);
    TORC_ASSERT(rig_info(rig).serving);
    return ballot;
}

enum torc_status rig_accepted(struct rig *rig, uint64_t from, struct base_ballot ballot,
                              uint64_t first, uint64_t last)
{
    return rig_receive(rig, from,
                       (struct consensus_message){
                           .type = PAXOS_ACCEPTED, .ballot = ballot, .first = first, .last = last});
}

enum torc_status rig_confirm(struct rig *rig, uint64_t from, struct base_ballot ballot,
                             uint64_t round)
{
    return rig_receive(
        rig, from,
        (struct consensus_message){
            .type = PAXOS_HEARTBEAT_REPLY, .ballot = ballot, .echo = round, .round = rig->now_ms});
}

/* A leader of three from proposal to apply: entry made, records and messages out, own sync, both
 * followers' acknowledgements, apply. */
#include <string.h>

#include "base/assert.h"
#include "benchmarks/micro/data.h"
#include "benchmarks/micro/part.h"
#include "paxos/paxos.h"

enum { WIDTH_MAX = 16, VOTERS = 3, ELECTION_MS = 100, POOL_SIZE = 64 << 20 };

struct leading {
    const struct base_allocator *allocator;
    struct base_pool pool;
    struct consensus *machine;
    struct base_ballot ballot;
    unsigned width;
    uint64_t now_ms, number, persist_seq, last;
    uint64_t round; /* Of the newest message of those that have one. */
};

static void step(struct leading *leading, struct consensus_event event)
{
    event.now_ms = leading->now_ms;
    enum torc_status status = consensus_step(leading->machine, &event);
    TORC_ASSERT(status == TORC_OK);
}

/* Takes what is ready, and applies until there is nothing more. */
static void turn(struct leading *leading)
{
    struct consensus_ready ready;
    do {
        consensus_ready(leading->machine, &ready);
        if (ready.persist_seq != 0)
            leading->persist_seq = ready.persist_seq;
        for (uint32_t i = 0; i < ready.message_count; i++) {
            leading->ballot = ready.messages[i].ballot;
            leading->round = ready.messages[i].round;
        }
        if (ready.apply_count > 0) {
            uint64_t slot = ready.apply[ready.apply_count - 1].entry.slot;
            step(leading,
                 (struct consensus_event){.type = CONSENSUS_APPLIED, .u = {.applied_slot = slot}});
        }
    } while (ready.apply_count > 0);
}

static void persisted(struct leading *leading)
{
    step(leading, (struct consensus_event){.type = CONSENSUS_PERSISTED,
                                           .u = {.persisted_seq = leading->persist_seq}});
    turn(leading);
}

static void receive(struct leading *leading, uint64_t from, struct consensus_message message)
{
    message.from = from;
    message.to = 1;
    message.incarnation = 1;
    message.ballot = leading->ballot;
    step(leading, (struct consensus_event){.type = CONSENSUS_RECEIVE, .u = {.receive = &message}});
    turn(leading);
}

static void accepted(struct leading *leading, uint64_t from, uint64_t first, uint64_t last)
{
    receive(leading, from,
            (struct consensus_message){
                .type = PAXOS_ACCEPTED, .first = first, .last = last, .durable = first - 1});
}

static void elect(struct leading *leading)
{
    struct consensus_info info;
    turn(leading);
    leading->now_ms += 2 * ELECTION_MS;
    step(leading, (struct consensus_event){.type = CONSENSUS_TICK});
    turn(leading);
    receive(leading, 2,
            (struct consensus_message){
                .type = PAXOS_CANVASS_REPLY, .echo = leading->round, .flags = PAXOS_YES});
    persisted(leading);
    receive(leading, 2,
            (struct consensus_message){.type = PAXOS_PROMISE, .first = 1, .flags = PAXOS_END});
    persisted(leading);
    accepted(leading, 2, 1, 1);
    accepted(leading, 3, 1, 1);
    consensus_info(leading->machine, &info);
    TORC_ASSERT(info.serving);
    leading->last = info.last;
}

static void *begin(const struct base_allocator *allocator, const char *folder, unsigned width)
{
    static const struct consensus_member members[VOTERS] = {
        {1, 1, true}, {2, 2, true}, {3, 3, true}};
    static const struct consensus_config config = {
        .replica = 1,
        .node = 1,
        .incarnation = 1,
        .members = members,
        .member_count = VOTERS,
        .heartbeat_interval_ms = 20,
        .election_timeout_ms = ELECTION_MS,
        .retransmit_timeout_ms = 30,
        .window_entries_max = 1024,
        .window_bytes_max = 16 << 20,
        .cache_bytes_max = 1 << 20,
        .message_bytes_max = 1 << 20,
        .reads_max = 8,
        .seed = 1,
    };
    static const struct consensus_boot boot;
    (void)folder;
    struct leading *leading = base_alloc_zero(allocator, sizeof(*leading));
    leading->allocator = allocator;
    leading->width = width;
    leading->now_ms = 1000;
    base_pool_init(&leading->pool, allocator, POOL_SIZE);
    leading->machine = consensus_new(&paxos_type, allocator, &config, &boot, leading->now_ms);
    elect(leading);
    return leading;
}

static void propose(struct leading *leading)
{
    uint8_t bytes[MICRO_REQUEST_SIZE_MAX];
    size_t size = micro_entry_write(bytes, sizeof(bytes), 1, ++leading->number, 1, 1);
    struct base_buffer *value = base_buffer_copy(&leading->pool, base_bytes_of(bytes, size));
    TORC_ASSERT(value != NULL);
    step(leading, (struct consensus_event){.type = CONSENSUS_PROPOSE, .u = {.propose = value}});
    base_buffer_unref(value);
}

/* `width` entries in one turn. */
static void run(void *context)
{
    struct leading *leading = context;
    uint64_t first = leading->last + 1;
    for (unsigned i = 0; i < leading->width; i++)
        propose(leading);
    leading->last += leading->width;
    turn(leading);
    persisted(leading);
    accepted(leading, 2, first, leading->last);
    accepted(leading, 3, first, leading->last);
}

static void end(void *context)
{
    struct leading *leading = context;
    struct consensus_info info;
    consensus_info(leading->machine, &info);
    TORC_ASSERT(info.applied == leading->last);
    consensus_free(leading->machine);
    base_pool_fini(&leading->pool);
    base_free(leading->allocator, leading, sizeof(*leading));
}

const struct part parts_paxos[] = {
    {"paxos: an entry from proposal to apply", 1, begin, run, end},
    {"paxos: an entry from proposal to apply, 16 a turn", 16, begin, run, end},
    {NULL, 0, NULL, NULL, NULL},
};

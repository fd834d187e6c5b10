/*
 * tests/unit/paxos/rig -- one replica under test, with the other members played by the test.
 *
 * Three voters: replicas 1, 2, 3 on nodes 11, 12, 13; the one under test is replica 1 and its
 * incarnation is 1. rig_turn() takes the ready, keeps copies of what it says, and applies.
 */
#ifndef TORC_TESTS_UNIT_PAXOS_RIG_H
#define TORC_TESTS_UNIT_PAXOS_RIG_H

#include "paxos/paxos.h"
#include "tests/lib/counting.h"

enum {
    RIG_ITEMS_MAX = 256,
    RIG_HEARTBEAT_MS = 20,
    RIG_ELECTION_MS = 100,
};

struct rig {
    struct counting counting;
    struct base_pool pool;
    struct consensus_config config;
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    struct consensus *machine;
    uint64_t now_ms;
    uint64_t seq; /* Newest batch that it asked to persist. */
    uint64_t mark;
    /* All that came out so far; entries hold no references, only what they are is looked at. */
    struct consensus_message messages[RIG_ITEMS_MAX];
    struct consensus_entry first_entries[RIG_ITEMS_MAX]; /* Of each message; slot 0: it has none. */
    uint32_t message_count;
    struct consensus_record records[RIG_ITEMS_MAX];
    uint32_t record_count;
    struct consensus_apply applies[RIG_ITEMS_MAX];
    uint32_t apply_count;
    struct consensus_read reads[RIG_ITEMS_MAX];
    uint32_t read_count;
    uint64_t load_first, load_last;
    uint64_t wake_at_ms;
    struct base_buffer *kept[RIG_ITEMS_MAX]; /* Of rig_entry. */
    uint32_t kept_count;
};

/* `boot` may be NULL: a new replica. The configuration may be changed between init and start. */
void rig_init(struct rig *rig);
void rig_start(struct rig *rig, const struct consensus_boot *boot);
/* Ends this life of the replica; the rig can start another. */
void rig_stop(struct rig *rig);
/* Asserts that nothing leaked. */
void rig_fini(struct rig *rig);

enum torc_status rig_step(struct rig *rig, struct consensus_event event);
void rig_turn(struct rig *rig);
/* The newest batch is durable; then a turn. */
void rig_sync(struct rig *rig);
/* A message to the replica under test, from `from`; then a turn. */
enum torc_status rig_receive(struct rig *rig, uint64_t from, struct consensus_message message);
/* Time passes, with a tick at its end; then a turn. */
void rig_tick(struct rig *rig, uint64_t ms);
enum torc_status rig_propose(struct rig *rig, const char *text);
enum torc_status rig_read(struct rig *rig, uint64_t id, enum consensus_read_mode mode);
struct consensus_info rig_info(const struct rig *rig);

/* The newest message of a type to a replica (0: to anybody), or NULL. */
const struct consensus_message *rig_sent(const struct rig *rig, enum paxos_message_type type,
                                         uint64_t to);
/* The first entry of such a message. */
const struct consensus_entry *rig_sent_entry(const struct rig *rig, enum paxos_message_type type,
                                             uint64_t to);
/* Forgets what came out. */
void rig_forget(struct rig *rig);

/* A ballot of a replica's, in its incarnation 1. */
struct base_ballot rig_ballot(uint64_t round, uint64_t replica);
/* An entry that holds `text`, proposed and accepted at `ballot`; NULL: a no-op. Its buffer lives
 * until rig_fini. */
struct consensus_entry rig_entry(struct rig *rig, uint64_t slot, struct base_ballot ballot,
                                 const char *text);
/* Up to the first PREPARE: silence, yes from replica 2, the own promise synced. Its ballot. */
struct base_ballot rig_stand(struct rig *rig);
/* Leads, with its barrier in slot chosen + 1, sent and synced at the own disk only. */
struct base_ballot rig_lead(struct rig *rig);
/* The same, and the barrier is applied. */
struct base_ballot rig_serve(struct rig *rig);
/* Replica `from` acknowledges [first, last] at `ballot`. */
enum torc_status rig_accepted(struct rig *rig, uint64_t from, struct base_ballot ballot,
                              uint64_t first, uint64_t last);
/* Replica `from` answers heartbeat round `round`. */
enum torc_status rig_confirm(struct rig *rig, uint64_t from, struct base_ballot ballot,
                             uint64_t round);

#endif /* TORC_TESTS_UNIT_PAXOS_RIG_H */

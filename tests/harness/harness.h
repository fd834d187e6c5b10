/*
 * tests/harness -- a few consensus cores over a simulated network and simulated disks, from one
 * seed: same seed, same run, to the byte.
 *
 *   options.c   what a seed draws              network.c  packets and who hears whom
 *   world.c     events in time, nodes' lives   disk.c     a log that keeps whole batches
 *   node.c      the driver's loop of a node    oracle.c   what must hold, with true time
 *   faults.c    what goes wrong, and clients   main.c     seeds, coverage, replay
 *
 * Time is in microseconds and true; each node has a clock of its own that starts anywhere and runs
 * fast or slow. A run has two phases: faults, with safety checked after every step, then none, when
 * within a bound everything must be served and applied everywhere.
 */
#ifndef TORC_TESTS_HARNESS_HARNESS_H
#define TORC_TESTS_HARNESS_HARNESS_H

#include <stdio.h>

#include "base/hash.h"
#include "base/prng.h"
#include "paxos/paxos.h"
#include "tests/harness/disk.h"

enum {
    HARNESS_NODES_MAX = 6,
    HARNESS_EVENTS_MAX = 4000, /* Under way at once; more means that messages breed. */
};

struct harness_options {
    uint64_t seed;
    uint32_t voters, learners;
    uint32_t loss, duplicates; /* Per mille of messages. */
    uint64_t delay_us_min, delay_us_max;
    uint32_t kept_by_cuts; /* Per mille of messages that a broken link delivers later. */
    uint32_t stragglers;   /* Per mille of messages that take up to a hundred times as long. */
    uint64_t sync_us_min, sync_us_max;
    uint64_t turn_us_max;   /* Events gather for so long before one ready. */
    uint64_t fault_us_mean; /* Between two faults. */
    uint64_t client_us_mean;
    uint64_t chaos_us;           /* Length of the first phase. */
    uint32_t rate_min, rate_max; /* Of clocks, per mille of true time. */
    bool partitions, crashes, power_losses, pauses, transfers, trims, damage;
    bool real_log; /* The product's log over a simulated device, instead of a list of records. */
    bool same_incarnation; /* For one mutant: restarts do not raise it. */
    uint32_t value_size_max;
    struct consensus_config config; /* The part that all nodes share. */
};

/* Rare paths, counted over seeds; a batch in which one never happened proves too little. */
#define HARNESS_COVERAGE_LIST(X)                                                                   \
    X(elections_started)                                                                           \
    X(elections_won)                                                                               \
    X(stepped_down)                                                                                \
    X(adopted)                                                                                     \
    X(holes_filled)                                                                                \
    X(ballot_mismatch)                                                                             \
    X(learned)                                                                                     \
    X(loaded)                                                                                      \
    X(retransmitted)                                                                               \
    X(canvass_refused)                                                                             \
    X(lease_waits)                                                                                 \
    X(voided)                                                                                      \
    X(stale_dropped)                                                                               \
    X(process_crashes)                                                                             \
    X(power_losses)                                                                                \
    X(batches_lost)                                                                                \
    X(batches_torn)                                                                                \
    X(batches_kept)                                                                                \
    X(crashes_inside_a_turn)                                                                       \
    X(partitions)                                                                                  \
    X(ambushes)                                                                                    \
    X(pauses)                                                                                      \
    X(transfers)                                                                                   \
    X(handovers)                                                                                   \
    X(damaged_replicas)                                                                            \
    X(trims)                                                                                       \
    X(messages)                                                                                    \
    X(messages_lost)                                                                               \
    X(messages_duplicated)                                                                         \
    X(promise_chunks)                                                                              \
    X(promises_refused_behind)                                                                     \
    X(learned_gone)                                                                                \
    X(proposals)                                                                                   \
    X(proposals_full)                                                                              \
    X(acknowledged)                                                                                \
    X(quorum_reads)                                                                                \
    X(lease_reads)                                                                                 \
    X(lease_reads_late)                                                                            \
    X(reads_failed)                                                                                \
    X(stale_reads_checked)                                                                         \
    X(single_voter_runs)                                                                           \
    X(learner_runs)

struct harness_coverage {
#define HARNESS_COVERAGE_FIELD(name) uint64_t name;
    HARNESS_COVERAGE_LIST(HARNESS_COVERAGE_FIELD)
#undef HARNESS_COVERAGE_FIELD
};

/* ---- Events. */

enum harness_event_type {
    HARNESS_PACKET = 1,
    HARNESS_WAKE,   /* A node's timer. */
    HARNESS_TURN,   /* A node takes its ready. */
    HARNESS_SYNCED, /* Its disk finished a write. */
    HARNESS_LOADED,
    HARNESS_RESTART,
    HARNESS_RESUME,
    HARNESS_LEASE_READ, /* The second half of a lease read: the clock, after the snapshot. */
    HARNESS_CLIENT,
    HARNESS_FAULT,
    HARNESS_AMBUSH, /* Second half of that fault: the leader `a` alone, the node restarted. */
};

enum harness_shape { /* Of a broken network, around one node. */
                     HARNESS_WHOLE,
                     HARNESS_ALONE, /* It and the others do not hear each other. */
                     HARNESS_MUTE,  /* It hears and is not heard. */
                     HARNESS_DEAF,  /* It is heard and does not hear. */
                     HARNESS_HUB,   /* Only it has links, to all others. */
                     HARNESS_CHAIN, /* Each hears its neighbours in the order of ids. */
};

struct harness_packet {
    struct consensus_message message;
    struct consensus_entry *entries; /* Each holds a reference. */
};

struct harness_event {
    uint64_t at_us;
    uint64_t number; /* Of its making: breaks ties. */
    enum harness_event_type type;
    uint32_t node;
    uint32_t life; /* For this life of the node only; 0: for any. */
    struct harness_packet *packet;
    uint64_t a, b; /* LOADED: first and last. LEASE_READ: snapshot, what it must hold. */
};

/* ---- Nodes. */

struct harness_read {
    uint64_t id;
    uint64_t must_hold; /* Highest slot that had been seen by any client when it began. */
    enum consensus_read_mode mode;
};

enum { HARNESS_READS_MAX = 64 };

struct harness_node {
    uint32_t index;
    uint64_t replica;
    struct consensus *machine; /* NULL: down. */
    uint32_t life;             /* Counts restarts; its incarnation. */
    uint64_t started_us;
    int64_t clock_offset_us;
    uint32_t clock_rate;
    bool paused;
    uint64_t wake_us; /* Of the newest WAKE; earlier ones are void. */
    bool turn_due;
    struct disk disk;
    uint64_t applied; /* Of the state; its content follows from the oracle's log. */
    uint64_t flushed; /* What a crash leaves of it at least. */
    bool amnesiac;
    struct harness_read reads[HARNESS_READS_MAX];
    uint32_t read_count;
    struct base_ballot vouched; /* Highest ballot of any promise or acknowledgement it sent. */
    uint64_t checked_fresh_ms;
};

/* ---- The oracle. */

struct oracle_identity { /* What an entry is, whoever holds it under whatever ballot. */
    enum consensus_entry_kind kind;
    struct base_ballot origin;
    uint64_t value; /* Number of the proposal; 0 when there is none. */
};

struct oracle_proposal {
    struct base_ballot ballot;
    struct oracle_identity identity;
    uint32_t holders; /* Nodes that have durably accepted it at this ballot. */
};

struct oracle_slot {
    bool chosen;
    bool effective;
    struct oracle_identity identity;
    struct base_ballot barrier; /* After it. */
    struct oracle_proposal *proposals;
    uint32_t proposal_count;
    size_t proposal_capacity;
};

struct oracle_value {
    uint32_t node, life; /* Who proposed it; its client hears from no other. */
    uint64_t slot;
};

struct oracle_seen { /* From at_us on, clients had seen the effects of slots up to `slot`. */
    uint64_t at_us, slot;
};

struct oracle {
    struct oracle_slot *slots; /* By slot; 0 is not used. */
    size_t slot_capacity;
    struct oracle_value *values;
    size_t value_capacity;
    uint64_t value_count;
    uint64_t last; /* Highest chosen slot that anybody applied; all below are too. */
    struct oracle_seen *seen;
    size_t seen_capacity;
    size_t seen_count;
};

struct harness {
    struct harness_options options;
    struct base_prng prng;
    const struct base_allocator *allocator;
    struct base_pool pool;
    uint64_t now_us;
    uint64_t event_number;
    struct harness_event *heap;
    size_t heap_capacity;
    size_t heap_count;
    struct consensus_member members[HARNESS_NODES_MAX];
    uint32_t node_count;
    struct harness_node nodes[HARNESS_NODES_MAX];
    bool cut[HARNESS_NODES_MAX][HARNESS_NODES_MAX]; /* [from][to] */
    bool healed;
    bool scripted; /* No faults of its own: a test steers. */
    uint64_t read_id;
    uint64_t healed_slot; /* A value proposed after the faults, acknowledged; 0: none yet. */
    bool healed_read;
    uint64_t hash; /* Of everything that came out. */
    bool trace;
    struct harness_coverage *coverage;
    struct oracle oracle;
};

/* Ends the process with status 1 after naming the seed and what broke. */
__attribute__((format(printf, 2, 3))) _Noreturn void harness_fail(const struct harness *harness,
                                                                  const char *format, ...);

/* options.c */
void harness_options_draw(struct harness_options *options, uint64_t seed);
void harness_options_print(const struct harness_options *options, FILE *out);

/* world.c */
void harness_init(struct harness *harness, const struct harness_options *options,
                  struct harness_coverage *coverage);
/* Both phases; returns the hash. */
uint64_t harness_run(struct harness *harness);
/* Handles events until `until_us`. */
void harness_run_until(struct harness *harness, uint64_t until_us);
void harness_fini(struct harness *harness);
void harness_push(struct harness *harness, struct harness_event event);
uint64_t harness_draw(struct harness *harness, uint64_t min, uint64_t max);
bool harness_chance(struct harness *harness, uint32_t per_mille);
void harness_note(struct harness *harness, uint64_t number);
/* Everything is up, connected and loses nothing from here on. */
void harness_heal(struct harness *harness);
/* Whether all live nodes have applied the same, after a write and a read that began healed. */
bool harness_converged(const struct harness *harness);

/* node.c */
uint64_t node_clock_ms(const struct harness *harness, const struct harness_node *node);
/* First true moment at which the node's clock shows `ms`. */
uint64_t node_true_us(const struct harness_node *node, uint64_t ms);
void node_start(struct harness *harness, struct harness_node *node);
void node_crash(struct harness *harness, struct harness_node *node, bool power);
void node_info(const struct harness_node *node, struct consensus_info *ret_info);
/* One event into the machine; its ready follows in a turn. */
enum torc_status node_step(struct harness *harness, struct harness_node *node,
                           struct consensus_event event);
void node_handle(struct harness *harness, struct harness_node *node,
                 const struct harness_event *event);
void node_propose(struct harness *harness, struct harness_node *node);
void node_read(struct harness *harness, struct harness_node *node, enum consensus_read_mode mode);

/* network.c */
void network_send(struct harness *harness, const struct consensus_message *message);
void network_packet_free(struct harness *harness, struct harness_packet *packet);

/* faults.c */
void faults_happen(struct harness *harness);
void faults_client(struct harness *harness);
void faults_ambush(struct harness *harness, const struct harness_event *event);
void harness_cut(struct harness *harness, enum harness_shape shape, uint32_t one);

/* oracle.c */
void oracle_fini(struct oracle *oracle, const struct base_allocator *allocator);
uint64_t oracle_propose(struct harness *harness, const struct harness_node *node);
void oracle_proposed(struct harness *harness, uint64_t value, uint64_t slot);
/* Before a message leaves: all that it implies holds. */
void oracle_send(struct harness *harness, struct harness_node *node,
                 const struct consensus_message *message);
void oracle_apply(struct harness *harness, struct harness_node *node,
                  const struct consensus_apply *apply);
/* A client has seen the effects of slots up to `slot`. */
void oracle_seen(struct harness *harness, uint64_t slot);
uint64_t oracle_seen_now(const struct harness *harness);
/* A read that began when clients had seen `must_hold` is answered from a state at `applied`. */
void oracle_read(struct harness *harness, const struct harness_node *node, uint64_t applied,
                 uint64_t must_hold);
/* An entry accepted by the node is durable (slot 0: a promise). */
void oracle_durable(struct harness *harness, const struct harness_node *node,
                    const struct consensus_entry *entry);
void oracle_record(struct harness *harness, struct harness_node *node,
                   const struct consensus_record *record);
/* After every step of a node. */
void oracle_check(struct harness *harness, struct harness_node *node);

#endif /* TORC_TESTS_HARNESS_HARNESS_H */

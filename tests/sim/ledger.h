/*
 * tests/sim/ledger -- what one who sees all nodes knows of every group's log: who proposed what,
 * who has it in synced storage, and so what is chosen. Facts only, gathered by witness.c from what
 * nodes hand to their logs and from what a recovery finds; checkers hold against it what nodes say.
 *
 * A value is known by a hash of its kind, its first ballot and its bytes. A slot's value is chosen,
 * once and for ever, when a quorum of the group's voters has accepted it at one ballot in synced
 * storage: nobody's word is taken for it.
 *
 * Every step costs O(1), amortised; what a recovery finds is linear in the log that is left.
 */
#ifndef TORC_TESTS_SIM_LEDGER_H
#define TORC_TESTS_SIM_LEDGER_H

#include "shard/keys.h"
#include "tests/sim/sim.h"

struct ledger_proposal { /* A value in a slot at a ballot. */
    struct base_ballot ballot;
    uint64_t value;
    uint32_t next;    /* Of the same slot; 0: none. */
    uint32_t holders; /* Nodes, as bits, in whose synced log it was accepted once. */
    enum consensus_entry_kind kind;
    struct base_ballot origin;
    uint64_t last_time; /* Of its requests; 0: it has none. */
    uint64_t counters;  /* That they add to: bits by number of the key. */
};

struct ledger_slot {
    uint64_t chosen;               /* Value; 0: nothing yet. */
    uint32_t proposals;            /* Newest first; 0: none. */
    uint32_t given[SIM_NODES_MAX]; /* The newest record handed to each node's log; 0: none. */
    uint32_t held[SIM_NODES_MAX];  /* The newest one that is synced. */
    uint32_t found;                /* By the recovery that is under way. */
};

struct ledger_replica { /* Of a group, on a node. "Given": handed to the log, in this life. */
    uint64_t id;        /* 0: none here. */
    bool voter;
    bool born_given, born;
    bool lost; /* Its log lost records: it never votes again. */
    struct base_ballot promised_given, promised;
    uint64_t marked_given, marked; /* Chosen marks. */
    uint64_t last;                 /* Highest slot ever given. */
    uint64_t applied;              /* In this life, and looked at. */
    uint64_t trimmed;
    uint64_t solid; /* Up to here its synced log held the chosen values. */
    /* Of its highest vote in all its lives, since when, and of the highest before that. */
    struct base_ballot vouched, vouched_before;
    uint64_t vouched_us;
};

struct ledger_ballot { /* One that somebody prepared. */
    struct base_ballot ballot;
    uint32_t promises; /* Nodes, as bits, that promised it and reported in full. */
};

struct ledger_answered { /* When, and up to which slot, writes were answered. */
    uint64_t at_us, slot;
};

struct ledger_ruled { /* From when on something was chosen at this ballot. */
    uint64_t at_us;
    struct base_ballot ballot;
};

struct ledger_group {
    struct ledger_slot *slots;
    size_t slots_capacity;
    uint64_t chosen;                               /* All slots up to here are. */
    struct ledger_replica replicas[SIM_NODES_MAX]; /* By node. */
    uint32_t voters;                               /* Nodes, as bits. */
    uint64_t effects; /* Up to here its effects were looked at; the newest barrier up to there. */
    struct base_ballot barrier;
    struct ledger_answered *answered; /* Both rise. */
    size_t answered_count, answered_capacity;
    struct ledger_ruled *ruled; /* Both rise. */
    size_t ruled_count, ruled_capacity;
    struct ledger_ballot *ballots;
    size_t ballot_count, ballots_capacity;
};

struct ledger_effect { /* Of a request. */
    struct wire_client_id client;
    uint64_t number;
    uint32_t group;
    uint64_t slot;             /* Where it was executed; 0: nowhere yet. */
    const struct sim_key *key; /* A counter that it adds to; NULL: none. */
    int64_t delta;
};

struct ledger_effects {
    struct ledger_effect *list;
    size_t count, capacity;
    uint32_t *table; /* Places in the list, from 1, by request id. */
    size_t table_size;
    uint64_t unsure; /* Counters of which some may have been missed, as bits. */
};

struct ledger_codec { /* check_codec.c: what it writes again, and with. */
    uint64_t seen;
    uint8_t *again;
    size_t again_capacity;
    struct shard_codec_outbox *outbox;
    struct base_pool pool;
    struct consensus_entry *entries;
    size_t entries_capacity;
};

struct ledger_entry { /* Of a message. */
    uint64_t slot;
    struct base_ballot ballot;
    uint64_t value;
};

struct ledger_found { /* A record that the recovery of a node under way has found. */
    uint32_t group, proposal;
    uint64_t slot;
    bool learned;
};

struct ledger {
    const struct base_allocator *allocator;
    const uint64_t *now_us;
    struct ledger_group groups[SIM_GROUPS_MAX];
    struct ledger_proposal *proposals; /* From 1. */
    size_t proposal_count, proposals_capacity;
    uint32_t incarnations[SIM_NODES_MAX]; /* Newest of each node. */
    uint64_t batches[SIM_NODES_MAX];      /* The last synced batch of its log. */
    struct ledger_found *found;
    size_t found_count, found_capacity;
    struct ledger_effects effects;
    struct ledger_codec codec;
    uint64_t *maps; /* Hash of each version of the cluster's map; 0: not seen yet. */
    size_t maps_capacity;
    struct ledger_entry *entries; /* Of the message that is looked at. */
    size_t entries_capacity;
};

void ledger_init(struct sim *sim);
void ledger_fini(struct sim *sim);

/* The hash that stands for a value; never 0. */
uint64_t ledger_value(enum consensus_entry_kind kind, struct base_ballot origin,
                      struct base_bytes bytes);
/* Both may be dead after the next call with a higher slot, or that adds a proposal. */
struct ledger_slot *ledger_slot(struct ledger *ledger, uint32_t group, uint64_t slot);
const struct ledger_proposal *ledger_proposal(const struct ledger *ledger, uint32_t number);
/* The proposal of a slot at a ballot; 0: none is known. */
uint32_t ledger_find(const struct ledger *ledger, const struct ledger_slot *slot,
                     struct base_ballot ballot);
uint32_t ledger_add(struct ledger *ledger, struct ledger_slot *slot,
                    const struct ledger_proposal *proposal);
/* The replica of a group on a node; NULL: none. */
struct ledger_replica *ledger_replica(struct ledger *ledger, uint32_t group, uint32_t node);
bool ledger_quorum(const struct ledger_group *group, uint32_t nodes);
struct ledger_ballot *ledger_ballot(struct ledger *ledger, uint32_t group,
                                    struct base_ballot ballot);
/* A proposal is accepted in the synced log of a node. False: another value is chosen already. */
bool ledger_accepted(struct ledger *ledger, uint32_t group, uint64_t slot, uint32_t proposal,
                     uint32_t node);
/* Whether the node's synced log holds the chosen values up to `slot`, all of them. */
bool ledger_is_solid(struct ledger *ledger, uint32_t group, uint32_t node, uint64_t slot);

/* ---- The checkers over it
 * -------------------------------------------------------------------------- */

/* check_ballots.c: an entry that a node hands to its log. Returns its proposal. */
uint32_t check_entry_given(struct sim *sim, const struct sim_host *host,
                           const struct store_record *record);
/* An entry of an ACCEPT. */
void check_entry_sent(struct sim *sim, const struct sim_host *host, uint32_t group,
                      const struct ledger_entry *entry);
void check_ballot_owner(struct sim *sim, const struct sim_host *host, uint32_t group,
                        const struct consensus_message *message);

/* check_chosen.c: a node calls all slots up to this one chosen. `what` says how. */
void check_chosen_claim(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot,
                        const char *what);
/* ... one slot, with this value. */
void check_chosen_value(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot,
                        uint64_t value, const char *what);
void check_marked(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot);
void check_applied(struct sim *sim, const struct sim_host *host, uint32_t group,
                   const struct shard_state *state);

/* check_effects.c: an entry is proposed for the first time: of its requests the last time, and the
 * counters. One is applied, and the state's clock is then this. At rest. */
void check_effects_proposed(struct sim *sim, const struct store_record *record,
                            struct ledger_proposal *proposal);
void check_effects_applied(struct sim *sim, const struct sim_host *host, uint32_t group,
                           uint64_t slot, uint32_t proposal, uint64_t clock);
void check_effects(struct sim *sim);

/* check_codec.c */
void check_codec_fini(struct sim *sim);

/* check_promises.c */
void check_promise_given(struct sim *sim, const struct sim_host *host, uint32_t group,
                         struct base_ballot ballot);
void check_promise_kept(struct sim *sim, const struct sim_host *host, uint32_t group,
                        struct base_ballot ballot);
void check_ballot_vote(struct sim *sim, const struct sim_host *host, uint32_t group,
                       const struct consensus_message *message);

/* check_durable.c */
void check_durable_envelope(struct sim *sim, const struct sim_host *host,
                            const struct wire_envelope *envelope);
void check_durable_message(struct sim *sim, const struct sim_host *host, uint32_t group,
                           const struct consensus_message *message,
                           const struct ledger_entry *entries);

/* check_recovery.c */
void check_found(struct sim *sim, const struct sim_host *host, const struct store_record *record);
void check_recovered(struct sim *sim, const struct sim_host *host);

#endif /* TORC_TESTS_SIM_LEDGER_H */

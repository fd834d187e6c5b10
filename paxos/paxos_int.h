/*
 * The machine's state, and what its files share. The rules' numbers are those of docs/protocol.md.
 *
 *   paxos.c     life, events        acceptor.c  promises, accepts      election.c  canvass, phase 1
 *   receive.c   messages' door      leader.c    phase 2, transfer      round.c     rounds
 *   output.c    the ready           learner.c   chosen, catch-up       read.c      reads, leases
 */
#ifndef TORC_PAXOS_PAXOS_INT_H
#define TORC_PAXOS_PAXOS_INT_H

#include "base/assert.h"
#include "base/prng.h"
#include "paxos/mutant.h"
#include "paxos/paxos.h"
#include "paxos/quorum.h"
#include "paxos/window.h"

enum {
    PAXOS_ROUNDS_KEPT = 64,   /* Rounds whose sending times are remembered. */
    PAXOS_ROUND_BITS = 48,    /* A ballot's round above this is refused: nobody gets there. */
    PAXOS_SPAN_MAX = 1 << 20, /* Slots in memory at once, whatever their size. */
};

enum paxos_stage { /* Of a candidate. */
                   PAXOS_CANVASSING = 1,
                   PAXOS_PROMISING, /* Its own promise is not durable yet. */
                   PAXOS_PREPARING,
};

/* What is known of a member; the array is in the order of the configuration. */
struct paxos_peer {
    uint32_t incarnation; /* Highest seen: messages of earlier lives are dropped. */
    bool amnesiac;        /* Said so: never counted. */
    /* Candidate. */
    uint64_t promise_next; /* First slot that its promise has yet to report. */
    /* Leader; 0 at its beginning. */
    uint64_t heard_ms;
    uint64_t round;     /* Highest round answered. */
    uint64_t answer_ms; /* When it sent its newest answer, by its own clock: echoed to it. */
    uint64_t chosen;    /* As it said last. */
    uint64_t durable;   /* The same. */
};

/* A reply that vouches for a record: it leaves when batch `seq` is durable. */
struct paxos_pending {
    uint64_t seq;
    struct consensus_message message;
};

struct paxos_mark { /* The chosen index that batch `seq` carries. */
    uint64_t seq, chosen;
};

struct paxos_read {
    uint64_t id;
    uint64_t slot;  /* Must be applied. */
    uint64_t round; /* Must be confirmed; 0: none was sent since it came. */
    bool by_lease;
};

/* A measurement of how fresh the applied state is (DESIGN section 4, rule 7, stale reads): when
 * `round` is confirmed and `chosen` applied, the state is no older than at_ms. */
struct paxos_fresh {
    uint64_t round; /* 0: none is under way. */
    uint64_t at_ms;
    uint64_t chosen;
    bool confirmed;
};

/* What goes into the next ready, in arrays that keep their memory. Each entry in them holds one
 * reference to its value. */
struct paxos_output {
    bool given; /* A ready points here: the next step empties it. */
    struct consensus_record *records;
    size_t record_capacity;
    uint32_t record_count;
    struct consensus_message *messages;
    size_t message_capacity;
    uint32_t message_count;
    uint32_t *entry_at; /* Of each message: where its entries begin. */
    size_t entry_at_capacity;
    struct consensus_entry *entries;
    size_t entry_capacity;
    uint32_t entry_count;
    struct consensus_apply *applies;
    size_t apply_capacity;
    uint32_t apply_count;
    struct consensus_read *reads;
    size_t read_capacity;
    uint32_t read_count;
};

struct paxos {
    struct consensus base; /* First: a struct consensus pointer is a struct paxos pointer. */
    const struct base_allocator *allocator;
    struct base_prng prng;
    uint64_t now_ms;
    struct consensus_counters counters;

    /* Configuration. */
    struct consensus_config config;
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    uint32_t self;   /* Index of this replica. */
    uint32_t voters; /* Mask. */
    bool amnesiac;
    bool votes; /* A voter, and not amnesiac. */

    /* Acceptor. Invariant: promised >= the ballot of every entry in the window. */
    struct base_ballot promised;
    uint64_t promised_seq; /* Batch of its record. */
    uint64_t round_max;    /* Highest round seen in any ballot. */
    struct paxos_window window;
    uint64_t seq_last;       /* Newest batch handed out; the next ready's is one more. */
    uint64_t seq_persisted;  /* Newest durable one. */
    size_t held_bytes;       /* Values of the slots above chosen. */
    size_t cached_bytes;     /* Slots up to applied, with overhead. */
    uint64_t grant_until_ms; /* Leases: nobody but grant_to gets a promise before. */
    uint64_t grant_to;       /* 0: whoever it was, before the restart. */
    struct base_ballot grant_ballot;

    /* Learner. Invariant: compacted, window.first - 1 <= applied <= handed <= chosen. */
    uint64_t chosen;
    uint64_t handed; /* Given out in ready.apply. */
    uint64_t applied;
    uint64_t durable;
    uint64_t floor;
    uint64_t compacted;
    struct base_ballot barrier; /* Newest in the slots handed out. */
    uint64_t commit;            /* Chosen index that the leader of ballot `promised` told. */
    uint64_t learn_ms;          /* Ask again then; 0: no answer is awaited. */
    uint64_t learn_first;       /* What was asked for begins here. */
    uint64_t mismatch;          /* Highest slot counted in counters.ballot_mismatch. */
    bool behind_compaction;
    struct paxos_mark *marks; /* Of batches not yet durable, oldest first. */
    size_t mark_capacity;
    uint32_t mark_count;

    /* Election. */
    enum consensus_role role;
    enum paxos_stage stage;
    uint64_t leader;   /* Replica heard as the leader of ballot `promised`; 0: none. */
    uint64_t courted;  /* Replica whose phase 1 of ballot `promised` is under way; 0: none known. */
    uint64_t heard_ms; /* When one of the two was heard last. */
    uint64_t patience_ms;        /* Silence after which this replica stands; drawn per ballot. */
    uint64_t election_ms;        /* Follower: canvass then. Candidate: give up then. */
    struct base_ballot ballot;   /* Own, as a candidate or leader. */
    uint64_t canvass;            /* Number of the canvass, echoed in its answers. */
    uint32_t ayes;               /* Members that answered yes, or promised in full. */
    struct paxos_window found;   /* Phase 1: per slot the best of what the promises reported. */
    uint64_t resend_ms;          /* Candidate and leader: repeat what is unanswered then. */
    struct base_ballot handover; /* Of the leader that asked this replica to take over. */

    /* Leader. */
    uint64_t barrier_slot;
    uint64_t sent;      /* Highest slot sent at this ballot. */
    uint64_t own_acked; /* Highest slot whose own record is known durable. */
    uint64_t heartbeat_ms;
    uint64_t round, confirmed;
    uint32_t round_asked;                 /* Who was asked the newest round, itself among them. */
    uint64_t widen_ms;                    /* Ask the others too then; 0: they were. */
    uint64_t round_ms[PAXOS_ROUNDS_KEPT]; /* When round r was sent, at r modulo the size. */
    uint64_t lease_until_ms;
    bool lease_dropped; /* For good, under this ballot. */
    uint64_t transfer_to;
    uint64_t transfer_ms;      /* Give it up then. */
    uint64_t transfer_sent_ms; /* 0: not asked yet. */
    struct {
        uint64_t peer; /* Who needs them; 0: none is under way. */
        uint64_t first, last;
        bool asked; /* The driver has been asked. */
    } load;
    struct paxos_read *reads;
    size_t read_capacity;
    uint32_t read_count;

    struct paxos_fresh fresh;
    uint64_t fresh_at_ms;

    struct paxos_peer peers[CONSENSUS_MEMBERS_MAX];
    struct paxos_pending *pending;
    size_t pending_capacity;
    uint32_t pending_count;
    struct paxos_output output;
};

/* ---- paxos.c */
uint32_t paxos_mask_of(uint32_t member);
/* Index of a replica, or CONSENSUS_MEMBERS_MAX. */
uint32_t paxos_member_of(const struct paxos *paxos, uint64_t replica);
/* A time that is `wait_ms` or up to twice that ahead. */
uint64_t paxos_soon(struct paxos *paxos, uint64_t wait_ms);

/* ---- output.c */
/* Queues a message; the result is dead at the next call. */
struct consensus_message *paxos_send(struct paxos *paxos, uint32_t member,
                                     enum paxos_message_type type);
/* Queues an entry for the messages that follow; returns its place. */
uint32_t paxos_send_entry(struct paxos *paxos, const struct consensus_entry *entry);
/* Queues what the window has in [first, last], bounded by the size of a message; *ret_last is how
 * far it came (at least one entry, if there is one). Returns the first's place. */
uint32_t paxos_send_range(struct paxos *paxos, uint64_t first, uint64_t last, uint64_t *ret_last);
/* Says that the newest message carries the entries from place `first` on. */
void paxos_send_carries(struct paxos *paxos, uint32_t first);
/* A reply that leaves when batch `seq` is durable. */
void paxos_send_after(struct paxos *paxos, uint64_t seq, const struct consensus_message *message);
/* The batch that records queued now will be in. */
uint64_t paxos_seq_next(const struct paxos *paxos);
void paxos_record(struct paxos *paxos, enum consensus_record_kind kind,
                  const struct consensus_entry *entry);
void paxos_apply_out(struct paxos *paxos, const struct consensus_apply *apply);
void paxos_read_out(struct paxos *paxos, const struct consensus_read *read);
/* Moves the replies whose records are durable into the output. */
void paxos_pending_release(struct paxos *paxos);
void paxos_output_clear(struct paxos *paxos);
void paxos_output_free(struct paxos *paxos);
void paxos_ready(struct consensus *machine, struct consensus_ready *ret_ready);

/* ---- receive.c */
enum torc_status paxos_receive(struct paxos *paxos, const struct consensus_message *message);
const char *paxos_message_name(uint8_t type);

/* ---- acceptor.c */
/* Raises the promise and queues its record. */
void paxos_promise_raise(struct paxos *paxos, struct base_ballot ballot);
/* Puts an entry into the window and queues its record. */
struct paxos_slot *paxos_entry_put(struct paxos *paxos, const struct consensus_entry *entry,
                                   enum consensus_record_kind kind);
/* Highest slot that may be held: bounds memory by the windows. */
uint64_t paxos_slot_max(const struct paxos *paxos);
/* Whether a lease granted to somebody else forbids a promise to `candidate`. */
bool paxos_granted(const struct paxos *paxos, uint64_t candidate, struct base_ballot handover);
void paxos_count_lease_wait(struct paxos *paxos);
void paxos_refuse(struct paxos *paxos, uint32_t member, const struct consensus_message *message,
                  uint32_t flags);
/* Builds the PROMISE for a pending reply that came due. */
void paxos_promise_report(struct paxos *paxos, const struct consensus_message *reply);
enum torc_status paxos_on_prepare(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message);
enum torc_status paxos_on_accept(struct paxos *paxos, uint32_t from,
                                 const struct consensus_message *message);

/* ---- election.c */
/* Any role to follower; a leader's reads and hand-over end. */
void paxos_step_down(struct paxos *paxos);
/* The sender of a valid ballot >= promised leads: follow it. */
void paxos_follow(struct paxos *paxos, uint32_t from, struct base_ballot ballot);
/* Stand for election soon, unless somebody else leads or is about to. */
void paxos_stand(struct paxos *paxos);
void paxos_election_tick(struct paxos *paxos);
void paxos_election_persisted(struct paxos *paxos);
enum torc_status paxos_on_canvass(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message);
enum torc_status paxos_on_canvass_reply(struct paxos *paxos, uint32_t from,
                                        const struct consensus_message *message);
enum torc_status paxos_on_promise(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message);
enum torc_status paxos_on_refused(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message);
enum torc_status paxos_on_transfer(struct paxos *paxos, uint32_t from,
                                   const struct consensus_message *message);

/* ---- leader.c */
/* Phase 1 is complete: adopt, fill, propose the barrier. */
void paxos_lead(struct paxos *paxos);
enum torc_status paxos_propose(struct paxos *paxos, struct base_buffer *value);
enum torc_status paxos_transfer(struct paxos *paxos, uint64_t replica);
void paxos_transfer_go(struct paxos *paxos);
void paxos_leader_tick(struct paxos *paxos);
void paxos_leader_persisted(struct paxos *paxos);
/* Sends what was proposed and not yet sent. */
void paxos_leader_flush(struct paxos *paxos);
bool paxos_serving(const struct paxos *paxos);
enum torc_status paxos_on_accepted(struct paxos *paxos, uint32_t from,
                                   const struct consensus_message *message);

/* ---- round.c */
/* A heartbeat. */
void paxos_round_send(struct paxos *paxos);
/* A round for reads alone. */
void paxos_round_probe(struct paxos *paxos);
void paxos_round_widen(struct paxos *paxos);
uint64_t paxos_grid(const struct paxos *paxos);
enum torc_status paxos_on_heartbeat(struct paxos *paxos, uint32_t from,
                                    const struct consensus_message *message);
enum torc_status paxos_on_heartbeat_reply(struct paxos *paxos, uint32_t from,
                                          const struct consensus_message *message);
/* A measurement's round is confirmed up to `confirmed`, or something was applied. */
void paxos_fresh_update(struct paxos *paxos, uint64_t confirmed);

/* ---- learner.c */
/* Marks one more slot as chosen. */
void paxos_chosen_next(struct paxos *paxos);
/* Marks what the commit index and the own entries allow. */
void paxos_mark(struct paxos *paxos);
/* The same, and asks for what is missing. */
void paxos_learn(struct paxos *paxos);
/* The own log or state durably holds what was chosen up to `slot`. */
void paxos_durable_raise(struct paxos *paxos, uint64_t slot);
void paxos_apply_ready(struct paxos *paxos);
void paxos_applied(struct paxos *paxos, uint64_t slot);
void paxos_loaded(struct paxos *paxos, const struct consensus_entry *entries, uint32_t count);
void paxos_trimmed(struct paxos *paxos, uint64_t slot);
enum torc_status paxos_on_learn(struct paxos *paxos, uint32_t from,
                                const struct consensus_message *message);
enum torc_status paxos_on_learned(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message);

/* ---- read.c */
enum torc_status paxos_read(struct paxos *paxos, uint64_t id, enum consensus_read_mode mode);
/* Sends a round for the reads that have none, unless one is under way. */
void paxos_reads_ask(struct paxos *paxos);
/* The round that is being sent is for all reads that have none. */
void paxos_reads_join(struct paxos *paxos);
void paxos_reads_answer(struct paxos *paxos);
void paxos_reads_fail(struct paxos *paxos);
void paxos_lease_renew(struct paxos *paxos, uint64_t sent_ms);
bool paxos_lease_holds(const struct consensus *machine, uint64_t now_ms);

/* ---- check.c */
void paxos_check(const struct consensus *machine);

#endif /* TORC_PAXOS_PAXOS_INT_H */

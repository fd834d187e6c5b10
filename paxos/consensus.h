/*
 * consensus -- one replica of one replicated log, as a deterministic machine behind one interface.
 *
 * A group knows consensus only through this header; Multi-Paxos (paxos/paxos.h) is the first
 * implementation. Same configuration and same events give the same outputs, to the byte: there is
 * no clock, I/O, thread, logging or entropy behind it but what the events and config.seed bring.
 *
 * The driver's loop, once per turn:
 *
 *     consensus_step() for every event of the turn    (messages, proposals, reads, durability,
 * time) consensus_ready() once                          (what came of all of them together)
 *       1. hand ready.records, then ready.mark, to the log as part of this turn's one batch
 *       2. send ready.messages
 *       3. when the batch that holds the records is synced: step CONSENSUS_PERSISTED with
 *          ready.persist_seq; messages that vouch for durability come out of the ready after that
 *          step, so there is no way to send one early
 *       4. apply ready.apply in order, atomically with the applied slot and the barrier, then step
 *          CONSENSUS_APPLIED
 *       5. answer ready.reads from a state that is taken after this ready
 *
 * Timers run only on CONSENSUS_TICK, so a turn steps what has arrived first and the tick last: a
 * process that was stopped for a while hears its leader before it suspects it. The clock of an
 * event is read after the message it brings was received (leases count on that).
 *
 * Ownership, in full:
 *   IN   an event and all it points to is borrowed for the call. Entry bytes are the exception:
 *        `struct base_buffer` is reference-counted, and the machine takes references of its own.
 *   OUT  what *ret_ready points to is the machine's: read-only, dead at the next step, ready or
 * free. A driver that needs a buffer longer (a log batch in flight, an encoded message) takes a
 *        reference.
 *   ERR  on any status but TORC_OK the machine is as before.
 */
#ifndef TORC_PAXOS_CONSENSUS_H
#define TORC_PAXOS_CONSENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/ballot.h"
#include "base/buffer.h"
#include "base/status.h"

struct consensus; /* Opaque. */

/* ---- Configuration and recovery ------------------------------------------------------------ */

struct consensus_member {
    uint64_t replica; /* Never used twice in a cluster; > 0. */
    uint32_t node;    /* The process that hosts it. */
    bool voter;       /* Or a learner, which receives and never votes. */
};

enum {
    CONSENSUS_MEMBERS_MAX = 9,
    CONSENSUS_WINDOW_MAX = 1 << 16, /* Bound on window_entries_max. */
};

struct consensus_config {
    uint64_t replica;     /* This replica; one of `members`. */
    uint32_t node;        /* This process. */
    uint32_t incarnation; /* This life of the process: raised and synced before anything is sent. */
    const struct consensus_member *members; /* Copied. Sorted by replica; nodes are distinct too. */
    uint32_t member_count;                  /* 1..CONSENSUS_MEMBERS_MAX. */

    uint32_t heartbeat_interval_ms;
    uint32_t election_timeout_ms;   /* Least silence before a canvass; drawn from [1, 2] times this.
                                       Invariant: >= 3 * heartbeat_interval_ms. */
    uint32_t retransmit_timeout_ms; /* What is unacknowledged for so long is sent again. */
    uint32_t lease_ms;              /* 0: no leases. Else < election_timeout_ms. */
    uint32_t clock_drift_per_mille; /* Bound on how far two clocks' rates differ; leases only. */

    uint32_t window_entries_max; /* Proposed and not yet chosen; also what a replica holds beyond
                                    its chosen prefix. */
    size_t window_bytes_max;     /* The same in bytes of values. */
    size_t cache_bytes_max;      /* Values of applied entries kept in memory for those who lag. */
    size_t message_bytes_max;    /* Bound on the values in one message. */
    uint32_t reads_max;          /* Reads waiting at once. */
    uint64_t seed;               /* For election timeouts only. */
};

enum consensus_entry_kind {
    CONSENSUS_VALUE = 1, /* A proposal of the driver's. */
    CONSENSUS_NOOP,      /* Fills a hole; does nothing. */
    CONSENSUS_BARRIER,   /* The first entry of a leader's own (DESIGN section 1, "barrier"). */
};

struct consensus_entry {
    uint64_t slot;             /* From 1; 0 = none. */
    struct base_ballot ballot; /* Under which it was accepted last. */
    struct base_ballot origin; /* Under which it was first proposed; re-proposing keeps it. */
    enum consensus_entry_kind kind;
    struct base_buffer *value; /* NULL unless kind is CONSENSUS_VALUE. */
};

/* What must be durable, in the order given. */
enum consensus_record_kind {
    CONSENSUS_RECORD_PROMISE = 1, /* entry.ballot is promised; nothing else is set. */
    CONSENSUS_RECORD_ENTRY,       /* Accepted at entry.ballot. */
    CONSENSUS_RECORD_LEARNED,     /* Learned as chosen. */
};

struct consensus_record {
    enum consensus_record_kind kind;
    struct consensus_entry entry;
};

/* What recovery found. All zero for a replica that was just created. */
struct consensus_boot {
    struct base_ballot promised;
    uint64_t applied;           /* The state's applied slot: it and all below are chosen. */
    struct base_ballot barrier; /* The state's newest applied barrier (origin ballot). */
    uint64_t chosen;            /* Highest chosen mark of the log; may be below applied. */
    uint64_t compacted;         /* Entries at or below can no longer be loaded from the log. */
    const struct consensus_entry *entries; /* Newest record of each slot above applied, ascending,
                                              holes allowed. */
    uint32_t entry_count;
    bool amnesiac;          /* Its log lost records: it never votes again under this replica id. */
    uint32_t lease_wait_ms; /* Longest lease it may have granted before the restart. */
};

/* ---- Messages ------------------------------------------------------------------------------ */

/* One shape for all messages of all implementations, so that there is one codec; an implementation
 * says for each of its types which fields carry what. Unused fields are zero. */
struct consensus_message {
    uint8_t type;              /* The implementation's; never 0. */
    uint64_t from, to;         /* Replica ids. */
    uint32_t incarnation;      /* The sender's. */
    struct base_ballot ballot; /* What the message is about; replies echo it. */
    struct base_ballot other;  /* A second ballot (for example the one promised instead). */
    uint64_t first, last;      /* Slots covered, both included. */
    uint64_t chosen;           /* The sender's chosen index. */
    uint64_t durable; /* Up to here the sender's synced log or state holds chosen values. */
    uint64_t floor;   /* Up to here every voter's does. */
    uint64_t round, echo, confirmed;       /* Numbers of heartbeat rounds and of their answers. */
    uint32_t flags;                        /* The implementation's. */
    const struct consensus_entry *entries; /* In a received message: slots ascending, validated. */
    uint32_t entry_count;
};

/* ---- Events -------------------------------------------------------------------------------- */

enum consensus_event_type {
    CONSENSUS_TICK = 1,  /* Time passed (at the latest at ready.wake_at_ms). */
    CONSENSUS_RECEIVE,   /* A message, decoded and addressed to this replica. */
    CONSENSUS_PROPOSE,   /* A value to be chosen; the slot is consensus_info().last afterwards. */
    CONSENSUS_READ,      /* A read wants to be linearizable. */
    CONSENSUS_PERSISTED, /* All records up to a ready's persist_seq are synced. */
    CONSENSUS_APPLIED,   /* The state has applied up to a slot. */
    CONSENSUS_LOADED,  /* Entries that ready.load asked for (fewer or none if trimmed meanwhile). */
    CONSENSUS_TRIMMED, /* Entries up to a slot can no longer be loaded from the log. */
    CONSENSUS_TRANSFER, /* Hand leadership to a caught-up voter. */
};

enum consensus_read_mode {
    CONSENSUS_READ_QUORUM =
        1,                /* Leadership confirmed by a round that is sent after the read came. */
    CONSENSUS_READ_LEASE, /* Under a valid lease; without one it is confirmed as a quorum read. */
};

struct consensus_event {
    enum consensus_event_type type;
    uint64_t now_ms; /* The driver's monotonic clock; asserted never to go back. */
    union {
        const struct consensus_message *receive;
        struct base_buffer *propose;
        struct {
            uint64_t id; /* The driver's, echoed in ready.reads. */
            enum consensus_read_mode mode;
        } read;
        uint64_t persisted_seq;
        uint64_t applied_slot;
        struct {
            const struct consensus_entry
                *entries; /* Ascending and contiguous from the first asked. */
            uint32_t entry_count;
        } loaded;
        uint64_t trimmed_slot;
        uint64_t transfer_to; /* A replica, or 0: the voter that is furthest. */
    } u;
};

/* ---- Results ------------------------------------------------------------------------------- */

struct consensus_apply {
    struct consensus_entry entry; /* Chosen. */
    bool effective; /* False: first proposed under a lower ballot than the newest barrier applied
                       before it, a no-op or a barrier: it does nothing (DESIGN section 4, rule 3).
                     */
    struct base_ballot
        barrier; /* The newest barrier after this entry: kept with the applied slot. */
};

struct consensus_read {
    uint64_t id;
    /* TORC_OK: safe now. TORC_NOT_LEADER: ask the leader. For a lease read the driver takes its
     * snapshot first, then asks consensus_lease_holds() with a clock read after that. */
    enum torc_status status;
    bool by_lease;
};

struct consensus_ready {
    uint64_t persist_seq; /* 0: nothing to persist. Rises by one with each batch of records. */
    const struct consensus_record *records;
    uint32_t record_count;
    uint64_t
        mark; /* Chosen index that the log batch with these records (or any later one) carries. */

    const struct consensus_message *messages; /* To be sent now, in order. */
    uint32_t message_count;

    const struct consensus_apply *apply; /* In slot order, each once. */
    uint32_t apply_count;

    const struct consensus_read *reads;
    uint32_t read_count;

    uint64_t load_first, load_last; /* Entries wanted from the log for a peer; 0: none. */

    uint64_t wake_at_ms; /* Deliver CONSENSUS_TICK then; replaces any earlier request.
                            UINT64_MAX: nothing is due. */
};

enum consensus_role { CONSENSUS_FOLLOWER = 1, CONSENSUS_CANDIDATE, CONSENSUS_LEADER };

/* A copy of what a driver or an operator wants to know. */
struct consensus_info {
    enum consensus_role role;
    bool serving;           /* Leads, and its own barrier is applied. */
    bool transferring;      /* Leads, takes no proposals: leadership is being handed over. */
    bool amnesiac;          /* Stays out of every vote for ever. */
    bool behind_compaction; /* Needs entries that nobody's log holds any more: needs a rebuild. */
    struct base_ballot ballot; /* Own ballot when leading, else the newest one heard of. */
    uint64_t leader;           /* Replica believed to lead; 0: none known. */
    uint64_t chosen, applied;
    uint64_t last;    /* Highest slot with an entry. */
    uint64_t durable; /* See consensus_message. */
    uint64_t floor;   /* Slots that every voter holds durably: the log may drop them once
                         they are in the flushed state. */
    uint64_t compacted;
    uint64_t fresh_at_ms; /* The applied state holds every write acknowledged before this time of
                             the driver's clock (stale reads); 0: not known. */
    uint32_t inflight;    /* Proposed and not yet chosen. */
};

struct consensus_progress { /* Of one member, as the leader knows it. */
    uint64_t replica;
    uint64_t durable;
    uint64_t heard_ms; /* When it last answered; 0: never. */
};

/* Counters of rare paths, for coverage tables and metrics. They never influence behaviour. */
struct consensus_counters {
    uint64_t elections_started, elections_won, stepped_down;
    uint64_t adopted;      /* Foreign values adopted in phase 1. */
    uint64_t holes_filled; /* No-ops proposed for holes. */
    uint64_t
        ballot_mismatch; /* Chosen index covered an own entry of another ballot: value asked. */
    uint64_t learned, loaded, retransmitted, canvass_refused, lease_waits, voided;
    uint64_t restart_waits; /* Of lease_waits: for a lease of an earlier life. */
    uint64_t stale_dropped; /* Messages of older ballots, rounds or incarnations. */
};

/* ---- The implementation's side ------------------------------------------------------------- */

struct consensus_type {
    const char *name;                          /* "paxos" */
    const char *(*message_name)(uint8_t type); /* "ACCEPT"; never NULL. */
    struct consensus *(*create)(const struct base_allocator *allocator,
                                const struct consensus_config *config,
                                const struct consensus_boot *boot, uint64_t now_ms);
    void (*destroy)(struct consensus *machine);
    enum torc_status (*step)(struct consensus *machine, const struct consensus_event *event);
    void (*ready)(struct consensus *machine, struct consensus_ready *ret_ready);
    bool (*lease_holds)(const struct consensus *machine, uint64_t now_ms);
    void (*info)(const struct consensus *machine, struct consensus_info *ret_info);
    uint32_t (*progress)(const struct consensus *machine, struct consensus_progress *ret_progress);
    const struct consensus_counters *(*counters)(const struct consensus *machine);
    void (*check)(const struct consensus *machine);
};

/* Every implementation's struct begins with this. */
struct consensus {
    const struct consensus_type *type;
};

/* ---- Operations ---------------------------------------------------------------------------- */

/* Whether a configuration keeps its invariants: TORC_OK or TORC_INVALID. */
enum torc_status consensus_config_check(const struct consensus_config *config) TORC_MUST_CHECK;

/* A machine in the state that recovery found. The configuration must have passed its check;
 * `allocator` is borrowed until consensus_free. */
struct consensus *consensus_new(const struct consensus_type *type,
                                const struct base_allocator *allocator,
                                const struct consensus_config *config,
                                const struct consensus_boot *boot, uint64_t now_ms);
/* Releases all memory and references. NULL is a no-op. */
void consensus_free(struct consensus *machine);

/*
 * The only way state changes.
 * TORC_OK
 * TORC_NOT_LEADER  propose, read, transfer: this replica does not lead (or does not serve yet)
 * TORC_FULL        propose, read: a window is full; try again after the next ready
 * TORC_STALE       receive: from an older ballot, round or incarnation; ignored
 * TORC_MALFORMED   receive: a peer sent what no correct peer sends; ignored
 * TORC_NOT_FOUND   transfer: no such voter, or none that has answered lately
 */
enum torc_status consensus_step(struct consensus *machine,
                                const struct consensus_event *event) TORC_MUST_CHECK;

/* All that the steps since the last call have made ready. */
void consensus_ready(struct consensus *machine, struct consensus_ready *ret_ready);

/* Whether a lease covers this moment; `now_ms` is read after the snapshot was taken. */
bool consensus_lease_holds(const struct consensus *machine, uint64_t now_ms);
void consensus_info(const struct consensus *machine, struct consensus_info *ret_info);
/* Writes up to CONSENSUS_MEMBERS_MAX items, one per member in id order, and returns their count.
 * Only the leader's numbers mean anything. */
uint32_t consensus_progress(const struct consensus *machine,
                            struct consensus_progress *ret_progress);
/* Borrowed; valid until consensus_free. */
const struct consensus_counters *consensus_counters(const struct consensus *machine);

/* Aborts on the first broken invariant; cost proportional to the window. */
void consensus_check(const struct consensus *machine);
/* Stable text of a ready, for golden tests and traces: one action a line, zero fields left out.
 * Returns the length it would need, as snprintf does. */
size_t consensus_format_ready(const struct consensus_type *type,
                              const struct consensus_ready *ready, char *buffer,
                              size_t buffer_size);

#endif /* TORC_PAXOS_CONSENSUS_H */

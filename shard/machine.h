/*
 * shard/machine -- the state machine of one group: what its entries do to its keys.
 *
 * Deterministic and replicated: operations are evaluated when their entry is applied, in slot
 * order, from replicated state only, so replicas are byte-identical at equal applied slots (DESIGN
 * section 5). It knows nothing of consensus, messages or time: the group (shard/group.h) feeds it.
 *
 * Keys of the state (first byte, then big-endian numbers, so that byte order is their order):
 *
 *     'd' group32 token64 key            u64 version, u64 expiry ms (0 none), value
 *     'e' group32 expiry64 token64 key   u64 version                          the expiry index
 *     'g' group32 'a'                    applied slot, barrier, clock, state hash (one value)
 *     'g' group32 'r' slot64             the request records of one entry
 *     'g' group32 'v' vnode32            vnode epoch, owned, deletion clock
 *     'g' group32 'l'                    limits and their version
 *     'g' group32 'p' attempt            what is prepared: age, locks, changes, answer
 *     'g' group32 'f' attempt            how an attempt has ended here
 *     'g' group32 'm' group32            below this attempt of that group all are over
 *     'g' group32 'c' attempt            committed by this group: who takes part
 *
 * Ownership: the configuration is copied; kv and allocator are borrowed for the machine's life.
 * Bytes of entries and requests are borrowed for the call. Single-threaded.
 */
#ifndef TORC_SHARD_MACHINE_H
#define TORC_SHARD_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/ballot.h"
#include "base/bytes.h"
#include "base/status.h"
#include "store/kv.h"
#include "txn/entry.h"
#include "txn/participant.h"
#include "txn/voter.h"
#include "wire/op.h"

struct shard_machine; /* Opaque. */

struct shard_machine_config {
    uint32_t group;
    uint32_t vnode_bits;          /* Q = 2^vnode_bits. */
    struct wire_limits limits;    /* In force until a LIMITS entry replaces them. */
    uint64_t request_time_max_ms; /* How far ahead of the clock a last time may lie. */
    uint64_t records_bytes_max;   /* Bound on request records kept; past it requests are BUSY. */
};

/* What one request came to, at apply; or one entry about a transaction. */
enum shard_outcome_kind {
    SHARD_ANSWERED = 1, /* `answer` is the client's. */
    SHARD_LOCKED,       /* It met a lock and did nothing: `answer` is the request, to be proposed
                           again when the lock is gone. */
    SHARD_TXN_PREPARE,  /* `result`; REFUSED: `answer` says why. */
    SHARD_TXN_END,      /* An attempt has ended here. */
    SHARD_TXN_COMMIT,   /* It is committed by this group; it has ended here as well. */
    SHARD_TXN_REFUSE,   /* Of a client's request; `result` DONE: it has an answer as well; BLOCKED:
                           an attempt of it may commit yet, and nothing was done. */
    SHARD_TXN_FORGET,
};
struct shard_outcome {
    enum shard_outcome_kind kind;
    struct wire_client_id client; /* ANSWERED, LOCKED, REFUSE. */
    uint64_t number;
    struct txn_attempt attempt; /* Of the others. */
    enum txn_prepare_result result;
    struct base_bytes answer; /* Encoded (wire/op.h); borrowed from the outcomes. */
};

/* Answers of the entries applied since it was cleared. Memory is kept over clears. */
struct shard_outcomes;
struct shard_outcomes *shard_outcomes_new(const struct base_allocator *allocator);
void shard_outcomes_free(struct shard_outcomes *outcomes);
void shard_outcomes_clear(struct shard_outcomes *outcomes);
/* false at the end; *cursor starts at 0. Of internal requests only those about transactions have
 * one. */
bool shard_outcomes_next(const struct shard_outcomes *outcomes, size_t *cursor,
                         struct shard_outcome *ret_outcome);

/* Reads the group's state. A group without any state yet starts empty, owning nothing.
 * TORC_OK; TORC_DAMAGED: what is stored does not decode; TORC_NEWER. */
enum torc_status shard_machine_open(const struct shard_machine_config *config, struct store_kv *kv,
                                    const struct base_allocator *allocator,
                                    struct shard_machine **ret_machine) TORC_MUST_CHECK;
void shard_machine_close(struct shard_machine *machine); /* NULL is a no-op. */

/* ---- Applying -----------------------------------------------------------------------------------
 */

struct shard_apply {
    uint64_t slot;              /* The one after the last applied. */
    struct base_ballot barrier; /* Newest barrier after this entry. */
    bool effective;             /* False: only slot and barrier move on. */
    struct base_bytes entry;    /* wire_entry; empty when not effective. */
};

/*
 * Applies one entry into `batch` (reading what the batch already holds) and adds its answers to
 * `outcomes`. The caller writes the batch to kv before it shows any outcome, and before it reads;
 * several entries may share one batch. On TORC_BUSY from that write it keeps batch and outcomes and
 * writes again later, applying nothing in between.
 * TORC_OK.
 * TORC_MALFORMED: the entry does not decode; machine, batch and outcomes are as before (what
 * earlier entries left there may be written). This replica's group stops, never the process.
 * TORC_DAMAGED: the state does not decode: likewise, and machine and batch are good for nothing now
 * but to be closed and freed, unwritten.
 */
enum torc_status shard_machine_apply(struct shard_machine *machine, const struct shard_apply *apply,
                                     struct store_batch *batch,
                                     struct shard_outcomes *outcomes) TORC_MUST_CHECK;
/* The batch was written: the state may be read again, and memory beyond a steady load's is given
 * back. Called once per written batch; a read between an apply and this is asserted not to happen.
 */
void shard_machine_applied(struct shard_machine *machine);

/* ---- Answering ----------------------------------------------------------------------------------
 */

/*
 * Answers a read-only request from the newest state, in this call; the caller has made sure that it
 * is safe (consensus reads). `stamp` is the clock that the leader would give an entry now.
 * TORC_OK: the answer is added to `outcomes`.
 * TORC_STALE: a key has expired by `stamp` and not yet by the group's clock: have a TICK entry
 * chosen and applied, then ask again. TORC_BUSY: a key is locked: ask again when entries were
 * applied. TORC_DAMAGED: the state does not decode.
 */
enum torc_status shard_machine_read(struct shard_machine *machine,
                                    const struct wire_request *request, uint64_t stamp,
                                    struct shard_outcomes *outcomes) TORC_MUST_CHECK;

/*
 * What the leader checks before it proposes a request that writes. `stamp` is the clock that it
 * would give an entry now (an idle group's own clock lags behind every last time). TORC_OK;
 * TORC_EXISTS: it has a record, whose answer was added to `outcomes` (a retry: do not propose);
 * TORC_BUSY: the records' bound is reached; TORC_INVALID: its last time is too far ahead, or it is
 * an internal request, which only the leader itself makes.
 */
enum torc_status shard_machine_admit(struct shard_machine *machine,
                                     const struct wire_request *request, uint64_t stamp,
                                     struct shard_outcomes *outcomes) TORC_MUST_CHECK;

/* ---- Entries that the leader itself makes
 * -------------------------------------------------------- */

/* The first entry of a group: the vnodes that it owns with their epochs. Acts once, on a group that
 * has seen none. Writes one internal request into the caller's memory. */
struct shard_vnode {
    uint32_t vnode;
    uint64_t epoch;
};
size_t shard_genesis_size(uint32_t vnode_count);
size_t shard_genesis_write(const struct shard_vnode *vnodes, uint32_t vnode_count, uint8_t *at,
                           size_t capacity);
size_t shard_tick_write(uint8_t *at, size_t capacity);
/* Looks up to `keys_max` keys in the expiry index that have expired by the group's clock, and
 * writes the internal request that removes them: as many as fit. TORC_OK: *ret_size is 0 when there
 * is none, when not even one fits, and while a batch waits to be written (the index is not what it
 * will be); TORC_DAMAGED: the state does not decode. */
enum torc_status shard_removal_write(struct shard_machine *machine, uint32_t keys_max, uint8_t *at,
                                     size_t capacity, size_t *ret_size) TORC_MUST_CHECK;

/* ---- Transactions over several groups: what the leader needs ------------------------------------
 */

/* What is prepared and how the others ended, as of what was applied; borrowed for the machine's
 * life. */
const struct txn_participant *shard_machine_participant(const struct shard_machine *machine);
/* What this group has committed and not forgotten, in the order of attempts: i from 0; false: no
 * more. The groups that take part, u32 each, are borrowed until the next apply. */
bool shard_machine_unfinished(const struct shard_machine *machine, size_t i,
                              struct txn_attempt *ret_attempt, struct base_bytes *ret_groups);
/* The answer of what is prepared, to be released: TORC_OK, TORC_NOT_FOUND, TORC_DAMAGED. */
enum torc_status shard_machine_prepared_answer(struct shard_machine *machine,
                                               const struct txn_attempt *attempt,
                                               struct store_value *ret_value) TORC_MUST_CHECK;
/* Whether a lock keeps the request from a key of it: it would be LOCKED, or a read BUSY. */
bool shard_txn_bars(const struct shard_machine *machine, const struct wire_request *request);
/* Whether the group owns the vnode, as of what was applied. */
bool shard_machine_owns(const struct shard_machine *machine, uint32_t vnode);
unsigned shard_machine_vnode_bits(const struct shard_machine *machine);
/* The locks that a part of a transaction needs, one for each of its operations: `wants` has room
 * for them, and borrows from the request. */
size_t shard_txn_wants(const struct wire_request *request, struct txn_lock_want *wants);
/* An internal request of one of the operations TXN_*, whose value (txn/entry.h) stands in its place
 * already: behind SHARD_TXN_VALUE_AT bytes. Returns its size. */
enum { SHARD_TXN_VALUE_AT = WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE };
size_t shard_txn_op_write(enum wire_op_type type, size_t value_size, uint8_t *at, size_t capacity);

/* ---- Looking ------------------------------------------------------------------------------------
 */

struct shard_machine_counters { /* Since open; they never influence what is done. */
    uint64_t from_records; /* Copies of requests answered from the record, whenever that was. */
    uint64_t too_late;     /* ... refused: their last time has passed. */
};

struct shard_machine_info {
    uint64_t applied;
    struct base_ballot barrier;
    uint64_t clock;
    uint64_t hash; /* Running hash over all applied batches: equal at equal applied slots. */
    bool genesis;  /* The group has its first vnodes. */
    uint32_t vnodes_owned;
    uint64_t records_count, records_bytes;
    uint64_t next_expiry_ms;       /* Lower bound of the next key's expiry; 0: none known. */
    size_t txn_prepared, txn_ends; /* Attempts that are, and whose end is remembered. */
    size_t txn_unfinished;         /* Committed here, and not known to be everywhere. */
    struct wire_limits limits;
    struct shard_machine_counters counters;
};
void shard_machine_info(const struct shard_machine *machine, struct shard_machine_info *ret_info);
/* The applied slot that is on disk (store_kv_get_flushed): the log above it is needed for replay.
 */
uint64_t shard_machine_flushed(struct shard_machine *machine);
/* Aborts on the first broken invariant. Cost: linear in records. */
void shard_machine_check(const struct shard_machine *machine);

#endif /* TORC_SHARD_MACHINE_H */

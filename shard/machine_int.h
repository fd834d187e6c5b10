/*
 * shard/machine_int -- what the files of the state machine share. The order of reading: machine.c
 * (life), machine_apply.c (the order of checks), machine_ops.c and walk.c (what operations do),
 * rows.c (keys' rows), expiry.c, ownership.c, records.c, outcomes.c, keys.c (layout).
 */
#ifndef TORC_SHARD_MACHINE_INT_H
#define TORC_SHARD_MACHINE_INT_H

#include "base/assert.h"
#include "base/hlc.h"
#include "ring/token.h"
#include "shard/keys.h"
#include "shard/machine.h"
#include "shard/records.h"

/* Stamps past this (the year 2248) count as this: what a broken clock says must never make ours
 * wrap around. */
#define SHARD_CLOCK_STAMP_MAX (UINT64_MAX / 2)

enum { SHARD_MEMORY_KEPT_MAX = 1024 * 1024 }; /* Of each growable memory, in bytes, when idle. */

/* Memory that grows and is used again. */
struct shard_memory {
    uint8_t *data;
    size_t capacity;
};
uint8_t *shard_memory_reserve(const struct base_allocator *allocator, struct shard_memory *memory,
                              size_t size);
void shard_memory_free(const struct base_allocator *allocator, struct shard_memory *memory);
/* Gives it back when it is larger than SHARD_MEMORY_KEPT_MAX. */
void shard_memory_trim(const struct base_allocator *allocator, struct shard_memory *memory);

/* Invariant: state, limits and vnodes are those of kv with the batch being applied on top. */
struct shard_machine {
    struct shard_machine_config config;
    struct store_kv *kv;
    const struct base_allocator *allocator;

    struct shard_state state;
    struct wire_limits limits;
    uint64_t limits_version;          /* 0: the configured ones. */
    struct shard_vnode_state *vnodes; /* 2^vnode_bits. */
    uint32_t vnodes_owned;
    struct shard_records records;
    uint64_t next_expiry_ms; /* Lower bound of the index; 0: it is empty. */
    bool unwritten;          /* A batch holds what kv does not. */
    struct shard_machine_counters counters;

    struct shard_memory key, value; /* For the row that is being read or written. */
    struct shard_memory tokens;     /* Of the operations of the request at hand, uint64_t each. */

    struct txn_participant *participant;
    struct shard_unfinished *unfinished; /* In the order of attempts. */
    size_t unfinished_count, unfinished_capacity;
    struct store_batch *tentative; /* Rows of data as a PREPARE would leave them. */
    struct shard_outcomes *tentative_outcomes;
    struct shard_memory locks, prepared; /* Of the PREPARE at hand. */
};

/* Committed by this group as the coordinator's, and not yet known to be by all that take part. */
struct shard_unfinished {
    struct txn_attempt attempt;
    uint8_t *groups; /* As in struct txn_entry_commit. */
    size_t groups_size;
};

/* One request (or internal operation) at work. */
struct shard_run {
    struct shard_machine *machine;
    struct store_batch *batch;     /* NULL: a read, from kv alone. */
    struct store_batch *tentative; /* Not NULL: rows of data go here, and nothing else changes. */
    struct shard_outcomes *outcomes;
    uint64_t clock;        /* The tick of the operation at hand: its version if it writes. */
    uint64_t stamp;        /* Reads: what the clock would be for an entry now; else 0. */
    size_t values_left;    /* How many bytes of values the answer may still take. */
    size_t answer_at;      /* Where the answer being written begins in outcomes. */
    uint16_t result_count; /* In that answer. */
};

/* ---- outcomes.c ---------------------------------------------------------------------------------
 */

/* An answer is begun, given its results and ended; or dropped, as if it had never begun. */
void shard_answer_begin(struct shard_run *run, enum wire_answer_status status, uint64_t number,
                        uint64_t clock, uint64_t detail);
void shard_answer_result(struct shard_run *run, const struct wire_result *result);
/* Adds the outcome; returns the answer's bytes, borrowed until the next change of the outcomes. */
struct base_bytes shard_answer_end(struct shard_run *run, struct wire_client_id client,
                                   uint64_t number);
void shard_answer_drop(struct shard_run *run);
/* One that is made already; its answer is copied. */
void shard_outcomes_add(struct shard_outcomes *outcomes, const struct shard_outcome *outcome);

/* ---- rows.c -------------------------------------------------------------------------------------
 */

/* What the batch or else kv says of a key: TORC_OK, TORC_NOT_FOUND. */
enum torc_status shard_run_get(struct shard_run *run, struct base_bytes key,
                               struct store_value *ret_value) TORC_MUST_CHECK;
/* All writes of an apply go through these two: they go into the running hash. */
void shard_run_put(struct shard_run *run, struct base_bytes key, struct base_bytes value);
void shard_run_delete(struct shard_run *run, struct base_bytes key);

/* A key's row as an operation meets it. */
struct shard_row {
    bool stored;      /* There is a row; perhaps it has expired. */
    bool live;        /* ... and has not: the key exists. */
    uint64_t version; /* Of the key; of an absent one its vnode's newest deletion or expiry. */
    uint64_t stored_version; /* Of the row, expired or not. */
    uint64_t expiry_ms;      /* Of the row, expired or not. */
    struct base_bytes value; /* Of a live key; borrowed until the row is released or the batch
                                changes. */
    struct store_value held;
};
/* TORC_OK; TORC_DAMAGED; TORC_STALE: see shard_machine_read. */
enum torc_status shard_row_read(struct shard_run *run, uint64_t token, struct base_bytes key,
                                struct shard_row *ret_row) TORC_MUST_CHECK;
void shard_row_release(struct shard_row *row);
/* A row of a tentative batch that stands for a deletion: its version is the deletion's. */
#define SHARD_ROW_DELETED_MS ((uint64_t)INT64_MAX + 1)
/* Room for a new value of `size` bytes, to be filled and given to shard_row_put. */
uint8_t *shard_row_value(struct shard_run *run, size_t size);
/* Writes the row with the prepared value; `old` NULL: what was there is not known (a blind write).
 */
void shard_row_put(struct shard_run *run, uint64_t token, struct base_bytes key,
                   const struct shard_row *old, uint64_t expiry_ms, size_t value_size);
/* Deletes it as of the operation's tick; `old` as above. */
void shard_row_delete(struct shard_run *run, uint64_t token, struct base_bytes key,
                      const struct shard_row *old);
/* Deletes a row that expired at old->expiry_ms. */
void shard_row_expire(struct shard_run *run, uint64_t token, struct base_bytes key,
                      const struct shard_row *old);

/* ---- machine_apply.c ----------------------------------------------------------------------------
 */

enum shard_request_fate {
    SHARD_REQUEST_RAN = 1, /* Also when a CHECK failed. */
    SHARD_REQUEST_REFUSED, /* The answer says why; or it had run before, and is its record's. */
    SHARD_REQUEST_BLOCKED, /* A key of it is locked: no answer. */
};
/* What a request comes to, in the order of the checks; with_record: the group keeps its record. It
 * has an answer among the outcomes, and no record. TORC_OK, TORC_DAMAGED. */
enum torc_status shard_request_evaluate(struct shard_run *run, const struct wire_request *request,
                                        uint64_t entry_clock, bool with_record,
                                        enum shard_request_fate *ret_fate,
                                        struct base_bytes *ret_answer) TORC_MUST_CHECK;

/* ---- machine_txn.c ------------------------------------------------------------------------------
 */

bool shard_txn_is(enum wire_op_type type);
/* Whether the value of such an operation is one; then what it does. TORC_OK; TORC_DAMAGED: also
 * when it says what cannot be, a commit of what is not prepared. */
bool shard_txn_fits(const struct shard_machine *machine, const struct wire_op *op);
enum torc_status shard_txn_run(struct shard_run *run, const struct wire_op *op,
                               uint64_t entry_clock) TORC_MUST_CHECK;
/* TORC_OK, TORC_DAMAGED, TORC_NEWER. */
enum torc_status shard_txn_open(struct shard_machine *machine) TORC_MUST_CHECK;
void shard_txn_close(struct shard_machine *machine);

/* ---- machine_ops.c and walk.c -------------------------------------------------------------------
 */

/* Whether the state fits the operation's condition (not those of EXPIRE). */
bool shard_op_holds(const struct wire_op *op, const struct shard_row *row);
/* Runs one operation of a client and adds its result. TORC_OK, TORC_DAMAGED, TORC_STALE. */
enum torc_status shard_op_run(struct shard_run *run, const struct wire_op *op,
                              uint64_t token) TORC_MUST_CHECK;
/* SCAN, COUNT and CLEAR. TORC_OK, TORC_DAMAGED. */
enum torc_status shard_walk_run(struct shard_run *run, const struct wire_op *op) TORC_MUST_CHECK;

/* ---- expiry.c -----------------------------------------------------------------------------------
 */

static inline bool shard_expired(uint64_t expiry_ms, uint64_t clock)
{
    return expiry_ms != 0 && expiry_ms <= base_hlc_to_ms(clock);
}

void shard_index_put(struct shard_run *run, uint64_t expiry_ms, uint64_t token,
                     struct base_bytes key);
void shard_index_delete(struct shard_run *run, uint64_t expiry_ms, uint64_t token,
                        struct base_bytes key);
/* Reads the head of the index into next_expiry_ms. TORC_OK, TORC_DAMAGED. */
enum torc_status shard_index_open(struct shard_machine *machine) TORC_MUST_CHECK;
/* Whether the value of a REMOVE_EXPIRED is one; then what it does. */
bool shard_removal_fits(struct base_bytes value);
enum torc_status shard_removal_run(struct shard_run *run, struct base_bytes value) TORC_MUST_CHECK;

/* ---- ownership.c --------------------------------------------------------------------------------
 */

bool shard_vnode_owned(const struct shard_machine *machine, uint32_t vnode);
/* The first owned one at or after `vnode`; false: none. */
bool shard_vnode_next_owned(const struct shard_machine *machine, uint32_t vnode,
                            uint32_t *ret_vnode);
/* A key of the vnode was deleted, or expired, at `clock`. */
void shard_vnode_deleted(struct shard_run *run, uint32_t vnode, uint64_t clock);
/* TORC_OK, TORC_DAMAGED, TORC_NEWER. */
enum torc_status shard_vnodes_open(struct shard_machine *machine) TORC_MUST_CHECK;
bool shard_genesis_fits(const struct shard_machine *machine, struct base_bytes value);
void shard_genesis_run(struct shard_run *run, struct base_bytes value);

/* ---- machine.c ----------------------------------------------------------------------------------
 */

bool shard_limits_fit(struct base_bytes value);
void shard_limits_run(struct shard_run *run, const struct wire_op *op);
/* Writes slot, barrier, clock and hash: the end of every apply. */
void shard_state_put(struct shard_run *run);
/* A request of the leader's with one operation, whose value may stand in its place already. Returns
 * its size. */
size_t shard_internal_write(const struct wire_op *op, uint8_t *at, size_t capacity);

#endif /* TORC_SHARD_MACHINE_INT_H */

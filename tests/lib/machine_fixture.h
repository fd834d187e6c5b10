/*
 * tests/lib/machine_fixture -- a state machine over the simulator's map, fed as a group feeds it:
 * requests make an entry, entries share a batch, the batch is written.
 *
 * Everything aborts on what a test does not expect, so that tests read as what they are about.
 */
#ifndef TORC_TESTS_LIB_MACHINE_FIXTURE_H
#define TORC_TESTS_LIB_MACHINE_FIXTURE_H

#include "shard/machine.h"
#include "store/sim_kv.h"
#include "tests/lib/counting.h"

enum { FIXTURE_GROUP = 7, FIXTURE_VNODE_BITS = 4 };

/* The millisecond at which a fixture's clock starts. */
#define FIXTURE_START_MS UINT64_C(1000000)

struct fixture {
    struct counting counting;
    const struct base_allocator *allocator;
    struct shard_machine_config config;
    struct store_kv *kv;
    struct shard_machine *machine;
    struct store_batch *batch;
    struct shard_outcomes *outcomes;
    uint64_t stamp; /* Of the next entry; a test moves it with fixture_sleep. */
    uint64_t number;
    uint8_t *entry; /* Being built: header and requests. */
    size_t entry_size, entry_capacity;
    uint32_t request_count;
};

/* With an empty machine that has seen no genesis. */
void fixture_init_bare(struct fixture *fixture);
/* ... and with one that owns all vnodes (its first entry). */
void fixture_init(struct fixture *fixture);
/* Closes everything and asserts that no memory is left. */
void fixture_fini(struct fixture *fixture);

/* ---- Entries ------------------------------------------------------------------------------------
 */

struct wire_client_id fixture_client(void);
/* The stamp moves on. */
void fixture_sleep(struct fixture *fixture, uint64_t ms);
/* Adds a request to the entry; the last time lies one minute past the stamp. Returns its number. */
uint64_t fixture_request(struct fixture *fixture, const struct wire_op *ops, size_t count);
void fixture_request_as(struct fixture *fixture, uint64_t number, uint64_t last_time,
                        const struct wire_op *ops, size_t count);
/* Adds an encoded request. */
void fixture_request_encoded(struct fixture *fixture, struct base_bytes request);
/* The entry as it stands, and a new one begun. Borrowed until a request is added. */
struct base_bytes fixture_entry(struct fixture *fixture);
/* Applies encoded bytes as the next slot, into the batch. */
enum torc_status fixture_apply_bytes(struct fixture *fixture, struct base_bytes entry);
/* Applies the entry into the batch, expecting TORC_OK. */
void fixture_apply(struct fixture *fixture);
/* Writes the batch; outcomes stay readable until the next apply after this. */
void fixture_write(struct fixture *fixture);
void fixture_reopen(struct fixture *fixture);
/* The process died: of the batches not flushed `keep` are left. Unwritten ones are gone too. */
void fixture_crash(struct fixture *fixture, uint64_t keep);

/* ---- Answers ------------------------------------------------------------------------------------
 */

/* The newest outcome of a number; asserts that there is one. */
struct wire_answer fixture_answer(const struct fixture *fixture, uint64_t number);
/* Applies what was added so far and one more request of these operations, writes, and answers. */
struct wire_answer fixture_do(struct fixture *fixture, const struct wire_op *ops, size_t count);
/* The same for one operation; asserts WIRE_DONE. */
struct wire_result fixture_do_op(struct fixture *fixture, struct wire_op op);
/* Asks as a leader does, without an entry, with the stamp as it stands. */
enum torc_status fixture_read(struct fixture *fixture, const struct wire_op *ops, size_t count,
                              struct wire_answer *ret_answer);
struct wire_result fixture_result(const struct wire_answer *answer, size_t index);

struct shard_machine_info fixture_info(const struct fixture *fixture);
/* A hash over all keys and values of the map. */
uint64_t fixture_content(const struct fixture *fixture);
/* Whether the map has the key. */
bool fixture_has(const struct fixture *fixture, struct base_bytes state_key);
size_t fixture_space_count(const struct fixture *fixture, char letter);

/* ---- Operations ---------------------------------------------------------------------------------
 */

struct wire_op op_get(const char *key);
struct wire_op op_stat(const char *key);
struct wire_op op_put(const char *key, const char *value);
struct wire_op op_put_for(const char *key, const char *value, int64_t relative_ms);
struct wire_op op_delete(const char *key);
struct wire_op op_add(const char *key, int64_t delta);
struct wire_op op_append(const char *key, const char *value);
struct wire_op op_set_range(const char *key, uint64_t offset, const char *value);
struct wire_op op_get_range(const char *key, int64_t first, int64_t last);
/* BIT_COUNT and BIT_POSITION. */
struct wire_op op_bits(enum wire_op_type type, const char *key, int64_t first, int64_t last,
                       uint8_t flags);
struct wire_op op_add_decimal(const char *key, const char *increment);
struct wire_op op_set_bit(const char *key, uint64_t offset, bool bit);
struct wire_op op_expire(const char *key, enum wire_condition condition, int64_t relative_ms);
struct wire_op op_persist(const char *key);
struct wire_op op_check(const char *key, enum wire_condition condition);
struct wire_op op_walk(enum wire_op_type type, uint64_t token, uint64_t count);

bool bytes_are(struct base_bytes bytes, const char *text);

#endif /* TORC_TESTS_LIB_MACHINE_FIXTURE_H */

#include "tests/lib/machine_fixture.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/hlc.h"
#include "shard/keys.h"

enum { REQUEST_SIZE_MAX = 1 << 20, LAST_TIME_MS = 60 * 1000 };

static void machine_open(struct fixture *fixture)
{
    TORC_ASSERT(shard_machine_open(&fixture->config, fixture->kv, fixture->allocator,
                                   &fixture->machine) == TORC_OK);
    shard_machine_check(fixture->machine);
}

void fixture_init_bare(struct fixture *fixture)
{
    *fixture = (struct fixture){
        .config =
            {
                .group = FIXTURE_GROUP,
                .vnode_bits = FIXTURE_VNODE_BITS,
                .limits = {256, 4096, REQUEST_SIZE_MAX},
                .request_time_max_ms = LAST_TIME_MS,
                .records_bytes_max = 1 << 20,
            },
        .stamp = base_hlc_from_ms(FIXTURE_START_MS),
    };
    fixture->allocator = counting_init(&fixture->counting);
    fixture->kv = store_sim_kv_new(fixture->allocator, 1);
    fixture->batch = store_batch_new(fixture->allocator);
    fixture->outcomes = shard_outcomes_new(fixture->allocator);
    machine_open(fixture);
}

void fixture_init(struct fixture *fixture)
{
    fixture_init_bare(fixture);
    struct shard_vnode vnodes[1 << FIXTURE_VNODE_BITS];
    for (uint32_t i = 0; i < 1 << FIXTURE_VNODE_BITS; i++)
        vnodes[i] = (struct shard_vnode){i, 1};
    uint8_t request[512];
    size_t size = shard_genesis_write(vnodes, 1 << FIXTURE_VNODE_BITS, request, sizeof(request));
    fixture_request_encoded(fixture, base_bytes_of(request, size));
    fixture_apply(fixture);
    fixture_write(fixture);
}

void fixture_fini(struct fixture *fixture)
{
    shard_machine_close(fixture->machine);
    shard_outcomes_free(fixture->outcomes);
    store_batch_free(fixture->batch);
    store_kv_close(fixture->kv);
    base_array_free(fixture->allocator, fixture->entry, &fixture->entry_capacity, 1);
    counting_fini(&fixture->counting);
}

/* ---- Entries ------------------------------------------------------------------------------------
 */

struct wire_client_id fixture_client(void)
{
    return (struct wire_client_id){11, 22};
}

void fixture_sleep(struct fixture *fixture, uint64_t ms)
{
    fixture->stamp += base_hlc_from_ms(ms);
}

void fixture_request_encoded(struct fixture *fixture, struct base_bytes request)
{
    if (fixture->request_count == 0)
        fixture->entry_size = WIRE_ENTRY_HEADER_SIZE;
    fixture->entry =
        base_array_reserve(fixture->allocator, fixture->entry, &fixture->entry_capacity,
                           fixture->entry_size + request.size, 1);
    memcpy(fixture->entry + fixture->entry_size, request.data, request.size);
    fixture->entry_size += request.size;
    fixture->request_count++;
}

/* An encoded request in memory of the caller's. */
static struct base_bytes request_write(uint8_t *at, size_t capacity, uint64_t number,
                                       uint64_t last_time, const struct wire_op *ops, size_t count)
{
    size_t size = wire_request_begin(at, capacity, fixture_client(), number, last_time, 0);
    for (size_t i = 0; i < count; i++)
        size += wire_op_write(at + size, capacity - size, &ops[i]);
    wire_request_end(at, size, (uint16_t)count);
    return base_bytes_of(at, size);
}

static size_t request_size(const struct wire_op *ops, size_t count)
{
    size_t size = WIRE_REQUEST_HEADER_SIZE;
    for (size_t i = 0; i < count; i++)
        size += wire_op_size(&ops[i]);
    return size;
}

void fixture_request_as(struct fixture *fixture, uint64_t number, uint64_t last_time,
                        const struct wire_op *ops, size_t count)
{
    size_t size = request_size(ops, count);
    uint8_t *at = base_alloc(fixture->allocator, size);
    fixture_request_encoded(fixture, request_write(at, size, number, last_time, ops, count));
    base_free(fixture->allocator, at, size);
}

uint64_t fixture_request(struct fixture *fixture, const struct wire_op *ops, size_t count)
{
    fixture->number++;
    fixture_request_as(fixture, fixture->number, fixture->stamp + base_hlc_from_ms(LAST_TIME_MS),
                       ops, count);
    return fixture->number;
}

struct base_bytes fixture_entry(struct fixture *fixture)
{
    TORC_ASSERT(fixture->request_count > 0);
    wire_entry_begin(fixture->entry, fixture->entry_size, fixture->stamp, fixture->request_count);
    fixture->request_count = 0;
    return base_bytes_of(fixture->entry, fixture->entry_size);
}

enum torc_status fixture_apply_bytes(struct fixture *fixture, struct base_bytes entry)
{
    /* What a batch that was written has answered has been seen. */
    if (store_batch_count(fixture->batch) == 0)
        shard_outcomes_clear(fixture->outcomes);
    struct shard_apply apply = {
        .slot = fixture_info(fixture).applied + 1,
        .barrier = {1, 1, 1},
        .effective = true,
        .entry = entry,
    };
    return shard_machine_apply(fixture->machine, &apply, fixture->batch, fixture->outcomes);
}

void fixture_apply(struct fixture *fixture)
{
    TORC_ASSERT(fixture_apply_bytes(fixture, fixture_entry(fixture)) == TORC_OK);
}

void fixture_write(struct fixture *fixture)
{
    TORC_ASSERT(store_kv_write(fixture->kv, fixture->batch) == TORC_OK);
    store_batch_clear(fixture->batch);
    shard_machine_applied(fixture->machine);
}

void fixture_reopen(struct fixture *fixture)
{
    shard_machine_close(fixture->machine);
    machine_open(fixture);
}

void fixture_crash(struct fixture *fixture, uint64_t keep)
{
    shard_machine_close(fixture->machine);
    store_batch_clear(fixture->batch);
    shard_outcomes_clear(fixture->outcomes);
    store_sim_kv_crash(fixture->kv, keep);
    machine_open(fixture);
}

/* ---- Answers ------------------------------------------------------------------------------------
 */

struct wire_answer fixture_answer(const struct fixture *fixture, uint64_t number)
{
    struct shard_outcome outcome;
    struct base_bytes found = {0};
    for (size_t cursor = 0; shard_outcomes_next(fixture->outcomes, &cursor, &outcome);) {
        if (outcome.kind == SHARD_ANSWERED && outcome.number == number)
            found = outcome.answer;
    }
    struct wire_answer answer;
    TORC_ASSERT(wire_answer_read(found, &answer) == TORC_OK);
    TORC_ASSERT(answer.encoded.size == found.size);
    TORC_ASSERT(answer.number == number);
    return answer;
}

struct wire_answer fixture_do(struct fixture *fixture, const struct wire_op *ops, size_t count)
{
    uint64_t number = fixture_request(fixture, ops, count);
    fixture_apply(fixture);
    fixture_write(fixture);
    return fixture_answer(fixture, number);
}

struct wire_result fixture_do_op(struct fixture *fixture, struct wire_op op)
{
    struct wire_answer answer = fixture_do(fixture, &op, 1);
    TORC_ASSERT(answer.status == WIRE_DONE);
    TORC_ASSERT(answer.result_count == 1);
    return fixture_result(&answer, 0);
}

enum torc_status fixture_read(struct fixture *fixture, const struct wire_op *ops, size_t count,
                              struct wire_answer *ret_answer)
{
    size_t size = request_size(ops, count);
    uint8_t *at = base_alloc(fixture->allocator, size);
    fixture->number++;
    struct base_bytes bytes = request_write(at, size, fixture->number, 0, ops, count);
    struct wire_request request;
    TORC_ASSERT(wire_request_read(bytes, &fixture->config.limits, &request) == TORC_OK);
    enum torc_status status =
        shard_machine_read(fixture->machine, &request, fixture->stamp, fixture->outcomes);
    base_free(fixture->allocator, at, size);
    if (status == TORC_OK)
        *ret_answer = fixture_answer(fixture, fixture->number);
    return status;
}

struct wire_result fixture_result(const struct wire_answer *answer, size_t index)
{
    struct wire_result result;
    size_t cursor = 0;
    for (size_t i = 0; i <= index; i++)
        TORC_ASSERT(wire_result_next(answer, &cursor, &result));
    return result;
}

struct shard_machine_info fixture_info(const struct fixture *fixture)
{
    struct shard_machine_info info;
    shard_machine_info(fixture->machine, &info);
    return info;
}

static struct store_iterator *iterate(const struct fixture *fixture, char first, char end)
{
    uint8_t letters[2] = {(uint8_t)first, (uint8_t)end};
    return store_kv_iterate(fixture->kv, NULL, base_bytes_of(letters, 1),
                            base_bytes_of(letters + 1, 1));
}

uint64_t fixture_content(const struct fixture *fixture)
{
    struct store_iterator *iterator = iterate(fixture, 'a', 'z');
    struct base_bytes key, value;
    uint64_t hash = 0;
    while (store_iterator_next(iterator, &key, &value) == TORC_OK)
        hash = base_hash_seeded(value, base_hash_seeded(key, hash));
    store_iterator_free(iterator);
    return hash;
}

bool fixture_has(const struct fixture *fixture, struct base_bytes state_key)
{
    struct store_value value;
    if (store_kv_get(fixture->kv, NULL, state_key, &value) != TORC_OK)
        return false;
    store_value_release(&value);
    return true;
}

size_t fixture_space_count(const struct fixture *fixture, char letter)
{
    struct store_iterator *iterator = iterate(fixture, letter, (char)(letter + 1));
    struct base_bytes key, value;
    size_t count = 0;
    while (store_iterator_next(iterator, &key, &value) == TORC_OK)
        count++;
    store_iterator_free(iterator);
    return count;
}

/* ---- Operations ---------------------------------------------------------------------------------
 */

static struct wire_op op_of(enum wire_op_type type, const char *key)
{
    return (struct wire_op){.type = type, .key = base_bytes_text(key)};
}

struct wire_op op_get(const char *key)
{
    return op_of(WIRE_OP_GET, key);
}

struct wire_op op_stat(const char *key)
{
    return op_of(WIRE_OP_STAT, key);
}

struct wire_op op_put(const char *key, const char *value)
{
    struct wire_op op = op_of(WIRE_OP_PUT, key);
    op.value = base_bytes_text(value);
    return op;
}

struct wire_op op_put_for(const char *key, const char *value, int64_t relative_ms)
{
    struct wire_op op = op_put(key, value);
    op.expiry_mode = WIRE_EXPIRY_RELATIVE;
    op.b = (uint64_t)relative_ms;
    return op;
}

struct wire_op op_delete(const char *key)
{
    return op_of(WIRE_OP_DELETE, key);
}

struct wire_op op_add(const char *key, int64_t delta)
{
    struct wire_op op = op_of(WIRE_OP_ADD, key);
    op.a = (uint64_t)delta;
    return op;
}

struct wire_op op_append(const char *key, const char *value)
{
    struct wire_op op = op_of(WIRE_OP_APPEND, key);
    op.value = base_bytes_text(value);
    return op;
}

struct wire_op op_set_range(const char *key, uint64_t offset, const char *value)
{
    struct wire_op op = op_of(WIRE_OP_SET_RANGE, key);
    op.value = base_bytes_text(value);
    op.a = offset;
    return op;
}

struct wire_op op_get_range(const char *key, int64_t first, int64_t last)
{
    struct wire_op op = op_of(WIRE_OP_GET_RANGE, key);
    op.a = (uint64_t)first;
    op.b = (uint64_t)last;
    return op;
}

struct wire_op op_bits(enum wire_op_type type, const char *key, int64_t first, int64_t last,
                       uint8_t flags)
{
    struct wire_op op = op_of(type, key);
    op.a = (uint64_t)first;
    op.b = (uint64_t)last;
    op.flags = flags;
    return op;
}

struct wire_op op_add_decimal(const char *key, const char *increment)
{
    struct wire_op op = op_of(WIRE_OP_ADD_DECIMAL, key);
    op.value = base_bytes_text(increment);
    return op;
}

struct wire_op op_set_bit(const char *key, uint64_t offset, bool bit)
{
    struct wire_op op = op_of(WIRE_OP_SET_BIT, key);
    op.a = offset;
    op.b = bit;
    return op;
}

struct wire_op op_expire(const char *key, enum wire_condition condition, int64_t relative_ms)
{
    struct wire_op op = op_of(WIRE_OP_EXPIRE, key);
    op.condition = condition;
    op.expiry_mode = WIRE_EXPIRY_RELATIVE;
    op.b = (uint64_t)relative_ms;
    return op;
}

struct wire_op op_persist(const char *key)
{
    return op_of(WIRE_OP_PERSIST, key);
}

struct wire_op op_check(const char *key, enum wire_condition condition)
{
    struct wire_op op = op_of(WIRE_OP_CHECK, key);
    op.condition = condition;
    return op;
}

struct wire_op op_walk(enum wire_op_type type, uint64_t token, uint64_t count)
{
    return (struct wire_op){.type = type, .a = token, .b = count};
}

bool bytes_are(struct base_bytes bytes, const char *text)
{
    return base_bytes_equal(bytes, base_bytes_text(text));
}

#include <stdio.h>

#include <criterion/criterion.h>

#include "ring/token.h"
#include "shard/keys.h"
#include "tests/lib/machine_fixture.h"

static void put_many(struct fixture *fixture, int count)
{
    char key[16];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        struct wire_op put = op_put(key, "v");
        fixture_request(fixture, &put, 1);
    }
    fixture_apply(fixture);
    fixture_write(fixture);
}

static uint64_t count_of(struct wire_result result)
{
    cr_assert_eq(result.kind, WIRE_RESULT_KEYS);
    return base_get_le64(result.bytes.data);
}

/* Adds the keys of a page to `ret_seen` of 1000 and checks that they come in token order. */
static size_t page_read(struct wire_result result, uint64_t *last_token, bool *ret_seen)
{
    size_t cursor = 0, count = 0;
    uint64_t token;
    struct base_bytes key;
    enum torc_status status;
    while ((status = wire_key_next(result.bytes, &cursor, &token, &key)) == TORC_OK) {
        cr_assert_eq(token, ring_token(key, FIXTURE_VNODE_BITS));
        cr_assert(token >= *last_token);
        *last_token = token;
        int number = 0;
        for (size_t i = 3; i < key.size; i++)
            number = number * 10 + (key.data[i] - '0');
        cr_assert(!ret_seen[number]);
        ret_seen[number] = true;
        count++;
    }
    cr_assert_eq(status, TORC_NOT_FOUND);
    return count;
}

/* Pages of a SCAN, put together, have every key once, in token order. */
Test(walk, scan_pages_have_every_key_once)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 500);
    bool seen[1000] = {false};
    uint64_t token = 0, last = 0;
    size_t pages = 0, count = 0;
    do {
        struct wire_op scan = op_walk(WIRE_OP_SCAN, token, 7);
        struct wire_answer answer;
        cr_assert_eq(fixture_read(&fixture, &scan, 1, &answer), TORC_OK);
        struct wire_result result = fixture_result(&answer, 0);
        cr_assert_eq(result.number & 1, 0); /* A cursor has no last bit. */
        cr_assert(result.number == 0 || result.number > token);
        count += page_read(result, &last, seen);
        token = result.number;
        pages++;
    } while (token != 0);
    cr_assert_eq(count, 500);
    cr_assert_eq(pages, 72);
    fixture_fini(&fixture);
}

/* Keys whose tokens differ in the last bit only share a cursor value, so a page takes both. Such
 * keys are not found by chance: here the rows are put into the map by hand. */
Test(walk, scan_never_splits_a_cursor_value)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint64_t tokens[5] = {2, 3, 4, 5, 6};
    for (size_t i = 0; i < 5; i++) {
        uint8_t key[SHARD_KEY_DATA_SIZE + 1], value[SHARD_DATA_HEAD_SIZE];
        shard_key_data_write(key, FIXTURE_GROUP, tokens[i], base_bytes_of("abcde" + i, 1));
        shard_data_head_write(value, 1, 0);
        store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)),
                        base_bytes_of(value, sizeof(value)));
    }
    cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
    store_batch_clear(fixture.batch);
    static const struct {
        uint64_t from, wanted, next;
        size_t size;
    } cases[] = {{0, 1, 4, 2}, {2, 2, 4, 2}, {2, 3, 6, 4},
                 {4, 1, 6, 2}, {6, 1, 0, 1}, {0, 9, 0, 5}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_op scan = op_walk(WIRE_OP_SCAN, cases[i].from, cases[i].wanted);
        struct wire_answer answer;
        cr_assert_eq(fixture_read(&fixture, &scan, 1, &answer), TORC_OK);
        struct wire_result result = fixture_result(&answer, 0);
        cr_assert_eq(result.number, cases[i].next, "case %zu", i);
        cr_assert_eq(result.bytes.size, cases[i].size * (WIRE_KEY_HEADER_SIZE + 1), "case %zu", i);
    }
    fixture_fini(&fixture);
}

/* Expired keys are in no page, and are not counted or deleted by CLEAR. */
Test(walk, expired_keys_are_passed_over)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 10);
    fixture_do_op(&fixture, op_put_for("key3", "v", 100));
    cr_assert_eq(count_of(fixture_do_op(&fixture, op_walk(WIRE_OP_COUNT, 0, 1000))), 10);
    fixture_sleep(&fixture, 100);
    cr_assert_eq(count_of(fixture_do_op(&fixture, op_walk(WIRE_OP_COUNT, 0, 1000))), 9);
    cr_assert_eq(count_of(fixture_do_op(&fixture, op_walk(WIRE_OP_CLEAR, 0, 1000))), 9);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 1);
    fixture_fini(&fixture);
}

/* COUNT goes on where it stopped. */
Test(walk, count_goes_on_where_it_stopped)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 100);
    uint64_t token = 0, count = 0;
    do {
        struct wire_result result = fixture_do_op(&fixture, op_walk(WIRE_OP_COUNT, token, 30));
        cr_assert_leq(count_of(result), 30);
        count += count_of(result);
        token = result.number;
    } while (token != 0);
    cr_assert_eq(count, 100);
    fixture_fini(&fixture);
}

/* CLEAR deletes at most what it is told, says how many, and the keys' vnodes keep the time. */
Test(walk, clear_deletes_in_steps)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 100);
    struct wire_result result = fixture_do_op(&fixture, op_walk(WIRE_OP_CLEAR, 0, 60));
    cr_assert_eq(count_of(result), 60);
    cr_assert_neq(result.number, 0);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 40);
    uint64_t before = fixture_info(&fixture).clock;
    result = fixture_do_op(&fixture, op_walk(WIRE_OP_CLEAR, result.number, 60));
    cr_assert_eq(count_of(result), 40);
    cr_assert_eq(result.number, 0);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);
    uint64_t newest = 0;
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key%d", i);
        struct wire_result absent = fixture_do_op(&fixture, op_get(key));
        cr_assert_eq(absent.kind, WIRE_RESULT_NIL);
        newest = absent.version > newest ? absent.version : newest;
    }
    cr_assert_gt(newest, before);
    fixture_fini(&fixture);
}

/* A retry of a CLEAR deletes nothing that was written since. */
Test(walk, clear_runs_once)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 5);
    struct wire_op clear = op_walk(WIRE_OP_CLEAR, 0, 60);
    uint64_t last_time = fixture.stamp + 1000000;
    fixture_request_as(&fixture, 900, last_time, &clear, 1);
    fixture_apply(&fixture);
    fixture_write(&fixture);
    fixture_do_op(&fixture, op_put("k", "1"));
    fixture_request_as(&fixture, 900, last_time, &clear, 1);
    fixture_apply(&fixture);
    fixture_write(&fixture);
    struct wire_answer answer = fixture_answer(&fixture, 900);
    cr_assert_eq(count_of(fixture_result(&answer, 0)), 5);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 1);
    fixture_fini(&fixture);
}

/* At apply a walk sees what the batch holds and is not yet written: puts, deletes, overwrites. */
Test(walk, sees_the_batch_on_top)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 50);
    char key[16];
    for (int i = 0; i < 80; i++) { /* Of 50 keys 25 go, 15 are written again; 15 are new. */
        snprintf(key, sizeof(key), "key%d", i < 40 ? i : i + 20);
        struct wire_op op = i < 25 ? op_delete(key) : op_put(key, "new");
        if (i < 55)
            fixture_request(&fixture, &op, 1);
    }
    fixture_apply(&fixture);
    struct wire_op count = op_walk(WIRE_OP_COUNT, 0, 1000), scan = op_walk(WIRE_OP_SCAN, 0, 1000);
    struct wire_op clear = op_walk(WIRE_OP_CLEAR, 0, 1000);
    uint64_t numbers[4];
    numbers[0] = fixture_request(&fixture, &count, 1);
    numbers[1] = fixture_request(&fixture, &scan, 1);
    numbers[2] = fixture_request(&fixture, &clear, 1);
    numbers[3] = fixture_request(&fixture, &count, 1);
    fixture_apply(&fixture);
    fixture_write(&fixture);
    struct wire_answer answer = fixture_answer(&fixture, numbers[0]);
    cr_assert_eq(count_of(fixture_result(&answer, 0)), 40);
    answer = fixture_answer(&fixture, numbers[1]);
    bool seen[1000] = {false};
    uint64_t last = 0;
    cr_assert_eq(page_read(fixture_result(&answer, 0), &last, seen), 40);
    cr_assert(!seen[24] && seen[25] && seen[49] && seen[60]);
    answer = fixture_answer(&fixture, numbers[2]);
    cr_assert_eq(count_of(fixture_result(&answer, 0)), 40);
    answer = fixture_answer(&fixture, numbers[3]);
    cr_assert_eq(count_of(fixture_result(&answer, 0)), 0);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);
    fixture_fini(&fixture);
}

/* Rows in vnodes that the group does not own are not its keys. */
Test(walk, passes_over_vnodes_of_others)
{
    struct fixture fixture;
    fixture_init_bare(&fixture);
    struct shard_vnode vnodes[3] = {{1, 1}, {5, 1}, {9, 1}};
    uint8_t request[256];
    size_t size = shard_genesis_write(vnodes, 3, request, sizeof(request));
    fixture_request_encoded(&fixture, base_bytes_of(request, size));
    fixture_apply(&fixture);
    for (uint64_t vnode = 0; vnode < 16; vnode++) {
        uint8_t key[SHARD_KEY_DATA_SIZE + 1], value[SHARD_DATA_HEAD_SIZE];
        shard_key_data_write(key, FIXTURE_GROUP, vnode << 60 | 8, base_bytes_of("k", 1));
        shard_data_head_write(value, 1, 0);
        store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)),
                        base_bytes_of(value, sizeof(value)));
    }
    fixture_write(&fixture);
    struct wire_result result = fixture_do_op(&fixture, op_walk(WIRE_OP_COUNT, 0, 2));
    cr_assert_eq(count_of(result), 2);
    cr_assert_eq(result.number, UINT64_C(9) << 60 | 8);
    result = fixture_do_op(&fixture, op_walk(WIRE_OP_COUNT, result.number, 2));
    cr_assert_eq(count_of(result), 1);
    cr_assert_eq(result.number, 0);
    fixture_fini(&fixture);
}

/* Nor those that a batch holds above them. */
Test(walk, passes_over_written_rows_of_others)
{
    struct fixture fixture;
    fixture_init_bare(&fixture);
    struct shard_vnode vnodes[2] = {{5, 1}, {9, 1}};
    uint8_t request[256];
    size_t size = shard_genesis_write(vnodes, 2, request, sizeof(request));
    fixture_request_encoded(&fixture, base_bytes_of(request, size));
    fixture_apply(&fixture);
    for (uint64_t vnode = 0; vnode < 16; vnode++) {
        uint8_t key[SHARD_KEY_DATA_SIZE + 1], value[SHARD_DATA_HEAD_SIZE];
        shard_key_data_write(key, FIXTURE_GROUP, vnode << 60 | 8, base_bytes_of("k", 1));
        shard_data_head_write(value, 1, 0);
        store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)),
                        base_bytes_of(value, sizeof(value)));
    }
    cr_assert_eq(count_of(fixture_do_op(&fixture, op_walk(WIRE_OP_COUNT, 0, 100))), 2);
    fixture_fini(&fixture);
}

/* A row whose key has no name in it stops the walk. */
Test(walk, a_row_without_a_key_is_damage)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 10);
    uint8_t key[SHARD_KEY_DATA_SIZE + 1], value[SHARD_DATA_HEAD_SIZE];
    shard_key_data_write(key, FIXTURE_GROUP, UINT64_MAX, base_bytes_text("k"));
    shard_data_head_write(value, 1, 0);
    store_batch_put(fixture.batch, base_bytes_of(key, SHARD_KEY_DATA_SIZE),
                    base_bytes_of(value, sizeof(value)));
    cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
    store_batch_clear(fixture.batch);
    struct wire_op count = op_walk(WIRE_OP_COUNT, 0, 100);
    struct wire_answer answer;
    cr_assert_eq(fixture_read(&fixture, &count, 1, &answer), TORC_DAMAGED);
    fixture_fini(&fixture);
}

/* An iterator that ends early is never taken for the end of the keys. */
Test(walk, early_end_is_not_the_end)
{
    struct fixture fixture;
    fixture_init(&fixture);
    put_many(&fixture, 50);
    store_sim_kv_faults_set(fixture.kv,
                            (struct store_sim_kv_faults){.iterator_end_ppm = 1000000 / 25});
    struct wire_op count = op_walk(WIRE_OP_COUNT, 0, 1000);
    int damaged = 0;
    for (int i = 0; i < 50; i++) {
        struct wire_answer answer;
        enum torc_status status = fixture_read(&fixture, &count, 1, &answer);
        if (status == TORC_OK)
            cr_assert_eq(count_of(fixture_result(&answer, 0)), 50);
        else
            damaged += status == TORC_DAMAGED;
    }
    cr_assert_gt(damaged, 10);
    store_sim_kv_faults_set(fixture.kv, (struct store_sim_kv_faults){0});
    fixture_fini(&fixture);
}

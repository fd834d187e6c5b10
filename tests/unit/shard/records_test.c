#include <criterion/criterion.h>

#include "base/prng.h"
#include "shard/records.h"
#include "tests/lib/counting.h"

static const struct wire_client_id client = {1, 2};

/* A record whose answer is an encoded "too late" with this number. */
static void add(struct shard_records *records, uint64_t number, uint64_t last_time)
{
    uint8_t answer[WIRE_ANSWER_HEADER_SIZE];
    wire_answer_begin(answer, sizeof(answer), WIRE_TOO_LATE, number, 0, 0);
    wire_answer_end(answer, sizeof(answer), 0);
    struct shard_record record = {client, number, last_time, 3,
                                  base_bytes_of(answer, sizeof(answer))};
    shard_records_add(records, &record);
}

static bool has(const struct shard_records *records, uint64_t number, uint64_t clock)
{
    struct shard_record record;
    if (!shard_records_find(records, client, number, clock, &record))
        return false;
    struct wire_answer answer;
    cr_assert_eq(wire_answer_read(record.answer, &answer), TORC_OK);
    cr_assert_eq(answer.number, number);
    cr_assert_eq(record.vnode, 3);
    return true;
}

/* Records are found from the moment they are added until their last time has passed, among 20,000
 * with random times; memory and bounds are those of what is left. */
Test(records, found_until_their_last_time)
{
    enum { SLOTS = 2000, PER_SLOT = 10, TIME_MAX = 1000 };
    static uint64_t last_times[SLOTS * PER_SLOT];
    struct counting counting;
    struct shard_records records;
    struct base_prng prng = base_prng_seeded(7);
    shard_records_init(&records, counting_init(&counting));
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        shard_records_open(&records, PER_SLOT);
        for (uint64_t i = 0; i < PER_SLOT; i++) {
            uint64_t number = slot * PER_SLOT + i;
            last_times[number] = base_prng_range(&prng, 1, TIME_MAX);
            cr_assert(!has(&records, number, 0));
            add(&records, number, last_times[number]);
            cr_assert(has(&records, number, last_times[number]));
        }
        cr_assert_gt(shard_records_close(&records, slot).size, 0);
    }
    shard_records_check(&records);
    cr_assert_eq(records.count, SLOTS * PER_SLOT);
    for (uint64_t clock = 0; clock <= TIME_MAX + 1; clock += 77) {
        for (uint64_t number = 0; number < SLOTS * PER_SLOT; number += 13)
            cr_assert_eq(has(&records, number, clock), last_times[number] >= clock);
        uint64_t slot;
        while (shard_records_expire(&records, clock, &slot)) {
            for (uint64_t i = 0; i < PER_SLOT; i++)
                cr_assert_lt(last_times[slot * PER_SLOT + i], clock);
        }
        shard_records_check(&records);
    }
    uint64_t slot;
    while (shard_records_expire(&records, TIME_MAX + 1, &slot))
        ;
    cr_assert_eq(records.count, 0);
    cr_assert_eq(records.bytes, 0);
    shard_records_fini(&records);
    counting_fini(&counting);
}

/* Blocks go in the order of their last times, and of slots among equals: on every replica alike. */
Test(records, blocks_go_in_one_order)
{
    static const uint64_t last_times[] = {5, 3, 9, 3, 5, 1};
    static const uint64_t order[] = {5, 1, 3, 0, 4, 2};
    struct counting counting;
    struct shard_records records;
    shard_records_init(&records, counting_init(&counting));
    for (uint64_t slot = 0; slot < 6; slot++) {
        shard_records_open(&records, 1);
        add(&records, slot, last_times[slot]);
        shard_records_close(&records, slot);
    }
    for (size_t i = 0; i < 6; i++) {
        uint64_t slot;
        cr_assert(shard_records_expire(&records, 100, &slot));
        cr_assert_eq(slot, order[i]);
    }
    shard_records_fini(&records);
    counting_fini(&counting);
}

/* An entry without records stores nothing. */
Test(records, no_records_no_value)
{
    struct counting counting;
    struct shard_records records;
    shard_records_init(&records, counting_init(&counting));
    shard_records_open(&records, 10);
    cr_assert_eq(shard_records_close(&records, 1).size, 0);
    shard_records_fini(&records);
    counting_fini(&counting);
}

/* An entry that is not ended, as its group stopped in it, is given back all the same. */
Test(records, an_open_entry_is_freed)
{
    struct counting counting;
    struct shard_records records;
    shard_records_init(&records, counting_init(&counting));
    shard_records_open(&records, 10);
    add(&records, 1, 100);
    shard_records_fini(&records);
    counting_fini(&counting);
}

/* A stored block loads as what it was; cut short anywhere it is damaged; a changed byte never ends
 * the process. */
Test(records, loading_is_validated)
{
    struct counting counting;
    struct shard_records records, loaded;
    shard_records_init(&records, counting_init(&counting));
    shard_records_open(&records, 3);
    for (uint64_t number = 1; number <= 3; number++)
        add(&records, number, 10 + number);
    struct base_bytes value = shard_records_close(&records, 4);
    uint8_t bytes[512];
    cr_assert_leq(value.size, sizeof(bytes));
    memcpy(bytes, value.data, value.size);

    shard_records_init(&loaded, &counting.allocator);
    for (size_t size = 0; size < value.size; size++)
        cr_assert_eq(shard_records_load(&loaded, 4, base_bytes_of(bytes, size)), TORC_DAMAGED);
    cr_assert_eq(loaded.count, 0);
    cr_assert_eq(shard_records_load(&loaded, 4, value), TORC_OK);
    shard_records_check(&loaded);
    cr_assert_eq(loaded.count, records.count);
    cr_assert_eq(loaded.bytes, records.bytes);
    cr_assert(has(&loaded, 2, 12) && !has(&loaded, 2, 13));
    for (size_t at = 0; at < value.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            enum torc_status status =
                shard_records_load(&loaded, 5, base_bytes_of(bytes, value.size));
            cr_assert(status == TORC_OK || status == TORC_DAMAGED || status == TORC_NEWER);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    shard_records_check(&loaded);
    shard_records_fini(&loaded);
    shard_records_fini(&records);
    counting_fini(&counting);
}

/* A block of no records is none that was ever written. */
Test(records, an_empty_block_is_damage)
{
    struct counting counting;
    struct shard_records records;
    shard_records_init(&records, counting_init(&counting));
    shard_records_open(&records, 1);
    add(&records, 1, 11);
    struct base_bytes value = shard_records_close(&records, 4);
    uint8_t bytes[512];
    cr_assert_leq(value.size, sizeof(bytes));
    memcpy(bytes, value.data, value.size);
    struct shard_records loaded;
    shard_records_init(&loaded, &counting.allocator);
    base_put_le32(bytes + 4, 0);
    for (size_t size = 8; size <= value.size; size++)
        cr_assert_eq(shard_records_load(&loaded, 4, base_bytes_of(bytes, size)), TORC_DAMAGED);
    cr_assert_eq(loaded.count, 0);
    shard_records_fini(&loaded);
    shard_records_fini(&records);
    counting_fini(&counting);
}

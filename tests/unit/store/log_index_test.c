#include "store/log_index.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/lib/counting.h"
#include "tests/lib/test_body.h"

enum { SLOTS = 200 };

static struct counting counting;
static struct store_log_index index_;

static void set_up(void)
{
    store_log_index_init(&index_, counting_init(&counting));
    store_log_index_add_segment(&index_, 1);
}

static void tear_down(void)
{
    store_log_index_fini(&index_);
    counting_fini(&counting);
}

static enum torc_status apply(enum store_record_kind kind, uint64_t replica, uint64_t slot,
                              uint64_t round, uint64_t segment, uint32_t size)
{
    const struct store_record record = {
        .kind = kind, .group = 5, .replica = replica, .slot = slot, .ballot = {.round = round}};
    const struct store_log_location at = {.slot = slot, .segment = segment, .size = size};
    return store_log_index_apply(&index_, &record, &at);
}

/* The newest record of a slot is the one that is found; the older one's bytes are needed no more.
 */
TEST_BODY(log_index, newest_record_of_a_slot_counts, set_up, tear_down)
{
    cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, 3, 1, 1, 100), TORC_OK);
    store_log_index_add_segment(&index_, 2);
    cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, 3, 2, 2, 150), TORC_OK);
    const struct store_log_group *group = store_log_index_find(&index_, 5);
    cr_assert_eq(store_log_index_entry(group, 3)->segment, 2);
    cr_assert_eq(index_.segments[0].needed_bytes, 0);
    cr_assert_eq(index_.needed_bytes, 150);
    cr_assert_eq(group->promise.round, 2);
    cr_assert_eq(group->promise_segment, 2);
    store_log_index_check(&index_);
}

/* An accept at a ballot is a promise of it: the promise's place moves with the newest proof. */
TEST_BODY(log_index, accept_proves_a_promise, set_up, tear_down)
{
    cr_assert_eq(apply(STORE_RECORD_PROMISE, 1, 0, 4, 1, 80), TORC_OK);
    store_log_index_add_segment(&index_, 2);
    cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, 1, 4, 2, 80), TORC_OK);
    cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, 2, 3, 2, 80), TORC_OK);
    const struct store_log_group *group = store_log_index_find(&index_, 5);
    cr_assert_eq(group->promise.round, 4);
    cr_assert_eq(group->promise_segment, 2);
}

/* Trimmed slots are not found and not taken again. */
TEST_BODY(log_index, trimmed_slots_are_gone, set_up, tear_down)
{
    for (uint64_t slot = 1; slot <= 10; slot++)
        cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, slot, 1, 1, 100), TORC_OK);
    store_log_index_trim(&index_, 5, 7);
    cr_assert_eq(apply(STORE_RECORD_LEARNED, 1, 6, 0, 1, 100), TORC_OK);
    const struct store_log_group *group = store_log_index_find(&index_, 5);
    cr_assert_null(store_log_index_entry(group, 6));
    cr_assert_null(store_log_index_entry(group, 7));
    cr_assert_not_null(store_log_index_entry(group, 8));
    cr_assert_eq(index_.needed_bytes, 300);
    store_log_index_check(&index_);
}

/* A dropped replica needs nothing; another id comes only after that. */
TEST_BODY(log_index, drop_forgets_a_replica, set_up, tear_down)
{
    cr_assert_eq(apply(STORE_RECORD_REPLICA, 1, 0, 0, 1, 80), TORC_OK);
    cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, 1, 1, 1, 80), TORC_OK);
    cr_assert_eq(apply(STORE_RECORD_REPLICA, 2, 0, 0, 1, 80), TORC_MALFORMED);
    cr_assert_eq(apply(STORE_RECORD_DROP, 1, 0, 0, 1, 80), TORC_OK);
    cr_assert_null(store_log_index_find(&index_, 5));
    cr_assert_eq(index_.needed_bytes, 0);
    cr_assert_eq(apply(STORE_RECORD_REPLICA, 2, 0, 0, 1, 80), TORC_OK);
    store_log_index_check(&index_);
}

/* Any order of slots, with trims in between, agrees with a plain array. */
TEST_BODY(log_index, agrees_with_a_plain_array, set_up, tear_down)
{
    uint32_t plain[SLOTS + 1] = {0};
    uint64_t trimmed = 0;
    struct base_prng prng = base_prng_seeded(7);
    for (uint32_t step = 1; step <= 5000; step++) {
        uint64_t slot = base_prng_range(&prng, trimmed > 3 ? trimmed - 3 : 1, SLOTS);
        cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, slot, 1, 1, step), TORC_OK);
        if (slot > trimmed)
            plain[slot] = step;
        if (step % 40 == 0 && trimmed < SLOTS - 10) {
            trimmed += base_prng_range(&prng, 0, 3);
            store_log_index_trim(&index_, 5, trimmed);
        }
        store_log_index_check(&index_);
    }
    const struct store_log_group *group = store_log_index_find(&index_, 5);
    for (uint64_t slot = 1; slot <= SLOTS; slot++) {
        const struct store_log_location *at = store_log_index_entry(group, slot);
        uint32_t expected = slot <= trimmed ? 0 : plain[slot];
        cr_assert_eq(at == NULL ? 0 : at->size, expected, "slot %lu", (unsigned long)slot);
    }
}

/* What is left of a record whose payload is gone takes its place, and an accept's still promises.
 */
TEST_BODY(log_index, damage_takes_the_place_of_what_it_was, set_up, tear_down)
{
    cr_assert_eq(apply(STORE_RECORD_REPLICA, 1, 0, 0, 1, 300), TORC_OK);
    cr_assert_eq(apply(STORE_RECORD_ENTRY, 1, 3, 2, 1, 400), TORC_OK);
    store_log_index_add_segment(&index_, 2);
    cr_assert_eq(apply(STORE_RECORD_DAMAGE, 1, 0, 0, 2, 80), TORC_OK);
    cr_assert_eq(apply(STORE_RECORD_DAMAGE, 1, 3, 5, 2, 80), TORC_OK);
    const struct store_log_group *group = store_log_index_find(&index_, 5);
    cr_assert_eq(group->replica_at.segment, 2);
    cr_assert_eq(store_log_index_entry(group, 3)->segment, 2);
    cr_assert_eq(group->promise.round, 5);
    cr_assert_eq(group->promise_segment, 2);
    cr_assert_eq(index_.segments[0].needed_bytes, 0);
    cr_assert_eq(index_.needed_bytes, 160);
    store_log_index_check(&index_);
}

/* Of two marks the higher counts, though a copied one may come back after it. */
TEST_BODY(log_index, lower_mark_changes_nothing, set_up, tear_down)
{
    cr_assert_eq(apply(STORE_RECORD_MARK, 1, 9, 0, 1, 80), TORC_OK);
    store_log_index_add_segment(&index_, 2);
    cr_assert_eq(apply(STORE_RECORD_MARK, 1, 8, 0, 2, 80), TORC_OK);
    const struct store_log_group *group = store_log_index_find(&index_, 5);
    cr_assert_eq(group->mark, 9);
    cr_assert_eq(group->mark_segment, 1);
    cr_assert_eq(apply(STORE_RECORD_MARK, 1, 9, 0, 2, 80), TORC_OK);
    cr_assert_eq(group->mark_segment, 2, "the newest record of it");
}

/* A drop of a replica that the log knows nothing of is nothing. */
TEST_BODY(log_index, drop_of_an_unknown_replica_is_nothing, set_up, tear_down)
{
    cr_assert_eq(apply(STORE_RECORD_DROP, 1, 0, 0, 1, 80), TORC_OK);
    cr_assert_null(store_log_index_find(&index_, 5));
    store_log_index_trim(&index_, 5, 10);
    store_log_index_check(&index_);
}

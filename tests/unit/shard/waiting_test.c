#include "shard/waiting.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/lib/counting.h"

/* What is added comes out in its order, whatever was dropped in between. */
Test(waiting, first_in_first_out)
{
    struct counting counting;
    struct shard_waiting waiting = shard_waiting_empty(counting_init(&counting));
    for (unsigned i = 0; i < 3; i++)
        cr_assert(shard_waiting_add(&waiting, base_bytes_text("ab")));
    shard_waiting_drop(&waiting, 3);
    cr_assert(shard_waiting_add(&waiting, base_bytes_text("c")));
    cr_assert(base_bytes_equal(shard_waiting_bytes(&waiting), base_bytes_text("babc")));
    shard_waiting_drop(&waiting, 4);
    cr_assert_eq(shard_waiting_bytes(&waiting).size, 0);
    shard_waiting_fini(&waiting);
    counting_fini(&counting);
}

/* It is bounded, but for one that is alone; and a burst's memory is given back. */
Test(waiting, bounded)
{
    enum { LARGE = SHARD_WAITING_MAX + 1 };
    static uint8_t large[LARGE];
    struct counting counting;
    struct shard_waiting waiting = shard_waiting_empty(counting_init(&counting));
    cr_assert(shard_waiting_add(&waiting, base_bytes_of(large, LARGE)));
    cr_assert_not(shard_waiting_add(&waiting, base_bytes_text("a")));
    shard_waiting_drop(&waiting, LARGE);
    cr_assert_eq(counting.bytes, 0);
    cr_assert(shard_waiting_add(&waiting, base_bytes_text("a")));
    shard_waiting_fini(&waiting);
    counting_fini(&counting);
}

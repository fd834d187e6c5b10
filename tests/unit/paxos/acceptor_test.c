#include <criterion/criterion.h>

#include "paxos/paxos.h"
#include "tests/lib/test_body.h"
#include "tests/unit/paxos/rig.h"

static struct rig rig;

static void setup(void)
{
    rig_init(&rig);
}

static void teardown(void)
{
    rig_fini(&rig);
}

/* Bytes of values that are not yet chosen are bounded; the next slot to be chosen always has room.
 */
TEST_BODY(paxos_acceptor, bytes_are_bounded_but_for_the_next_slot, setup, teardown)
{
    rig.config.window_bytes_max = 8;
    rig_start(&rig, NULL);
    struct consensus_message accept = {.type = PAXOS_ACCEPT, .ballot = rig_ballot(1, 2)};
    accept.entry_count = 1;
    struct consensus_entry entry = rig_entry(&rig, 1, accept.ballot, "more than 8 bytes");
    accept.entries = &entry;
    accept.first = accept.last = 1;
    cr_assert_eq(rig_receive(&rig, 2, accept), TORC_OK);
    rig_sync(&rig);
    cr_assert_eq(rig_sent(&rig, PAXOS_ACCEPTED, 2)->last, 1, "the next one, of any size");
    entry = rig_entry(&rig, 2, accept.ballot, "b");
    accept.first = accept.last = 2;
    cr_assert_eq(rig_receive(&rig, 2, accept), TORC_OK);
    rig_sync(&rig);
    cr_assert_eq(rig_sent(&rig, PAXOS_ACCEPTED, 2)->last, 1, "no room");
    cr_assert_eq(rig_info(&rig).last, 1);
    accept.chosen = 1;
    cr_assert_eq(rig_receive(&rig, 2, accept), TORC_OK);
    rig_sync(&rig);
    cr_assert_eq(rig_sent(&rig, PAXOS_ACCEPTED, 2)->last, 2, "what is chosen makes room");
}

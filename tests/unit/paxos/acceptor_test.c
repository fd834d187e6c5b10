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

/* What a promise has to report may leave memory before the promise is synced. */
TEST_BODY(paxos_acceptor, a_promise_that_cannot_report_is_refused, setup, teardown)
{
    rig.config.cache_bytes_max = 0;
    rig_start(&rig, NULL);
    struct consensus_entry entry = rig_entry(&rig, 1, rig_ballot(1, 2), "a");
    struct consensus_message accept = {.type = PAXOS_ACCEPT,
                                       .ballot = entry.ballot,
                                       .first = 1,
                                       .last = 1,
                                       .chosen = 1,
                                       .entries = &entry,
                                       .entry_count = 1};
    cr_assert_eq(rig_receive(&rig, 2, accept), TORC_OK);
    struct consensus_event event = {.type = CONSENSUS_PERSISTED, .u.persisted_seq = rig.seq};
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    struct consensus_ready ready;
    consensus_ready(rig.machine, &ready);
    cr_assert_eq(ready.apply_count, 1);
    /* Somebody stands while the entry is being applied. */
    struct consensus_message prepare = {.type = PAXOS_PREPARE,
                                        .from = 3,
                                        .to = 1,
                                        .incarnation = 1,
                                        .ballot = rig_ballot(2, 3),
                                        .first = 1,
                                        .last = 1};
    event = (struct consensus_event){.type = CONSENSUS_RECEIVE, .u.receive = &prepare};
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    event = (struct consensus_event){.type = CONSENSUS_APPLIED, .u.applied_slot = 1};
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    rig_turn(&rig);
    rig_sync(&rig);
    cr_assert_null(rig_sent(&rig, PAXOS_PROMISE, 3));
    cr_assert_eq(rig_sent(&rig, PAXOS_REFUSED, 3)->flags, PAXOS_BEHIND);
}

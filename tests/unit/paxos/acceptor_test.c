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

static const struct base_ballot theirs = {.round = 1, .node = 12, .incarnation = 1};

/* Replica 2 proposes a value in slot 1 and, a moment later, says that it is chosen. */
static void hear_of_a_value(void)
{
    struct consensus_entry entry = rig_entry(&rig, 1, theirs, "a");
    cr_assert_eq(rig_receive(&rig, 2,
                             (struct consensus_message){.type = PAXOS_ACCEPT,
                                                        .ballot = theirs,
                                                        .first = 1,
                                                        .last = 1,
                                                        .entries = &entry,
                                                        .entry_count = 1}),
                 TORC_OK);
    rig_sync(&rig);
    cr_assert_eq(
        rig_receive(&rig, 2,
                    (struct consensus_message){
                        .type = PAXOS_HEARTBEAT, .ballot = theirs, .round = 1, .chosen = 1}),
        TORC_OK);
    rig_sync(&rig);
}

/* Neither promises nor votes, asked in every way, and does not stand by itself or when it is told
 * to. */
static void expect_no_voice(void)
{
    cr_assert_null(rig_sent(&rig, PAXOS_ACCEPTED, 0));
    struct consensus_message message = {.type = PAXOS_TRANSFER, .ballot = theirs, .chosen = 1};
    cr_assert_eq(rig_receive(&rig, 2, message), TORC_STALE);
    message = (struct consensus_message){
        .type = PAXOS_CANVASS, .ballot = rig_ballot(2, 3), .first = 2, .last = 2, .round = 1};
    cr_assert_eq(rig_receive(&rig, 3, message), TORC_STALE);
    message.type = PAXOS_PREPARE;
    message.round = 0;
    cr_assert_eq(rig_receive(&rig, 3, message), TORC_STALE);
    rig_sync(&rig);
    for (int i = 0; i < 10; i++)
        rig_tick(&rig, RIG_ELECTION_MS);
    cr_assert_null(rig_sent(&rig, PAXOS_PROMISE, 0));
    cr_assert_null(rig_sent(&rig, PAXOS_CANVASS, 0));
    cr_assert_null(rig_sent(&rig, PAXOS_PREPARE, 0));
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_FOLLOWER);
}

/* Who lost its memory accepts nothing, asks for what is chosen, and has no voice in anything. */
TEST_BODY(paxos_acceptor, an_amnesiac_learns_and_has_no_voice, setup, teardown)
{
    struct consensus_boot boot = {.amnesiac = true};
    rig.config.lease_ms = 50;
    rig_start(&rig, &boot);
    hear_of_a_value();
    cr_assert_eq(rig_info(&rig).last, 0);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARN, 2)->last, 1);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT_REPLY, 2)->flags, PAXOS_AMNESIAC);
    expect_no_voice();
}

/* A member that is no voter accepts, applies what is chosen, and has no voice either. */
TEST_BODY(paxos_acceptor, a_learner_takes_entries_and_acknowledges_none, setup, teardown)
{
    rig.members[0].voter = false;
    rig.config.lease_ms = 50;
    rig_start(&rig, NULL);
    hear_of_a_value();
    cr_assert_eq(rig_info(&rig).applied, 1);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT_REPLY, 2)->flags, 0);
    expect_no_voice();
}

/* Only the leader whose ballot is promised hands over: a word of an earlier one, or of a later one
 * that was never heard of, is none. */
TEST_BODY(paxos_acceptor, takes_over_from_the_leader_it_follows_only, setup, teardown)
{
    rig_start(&rig, NULL);
    hear_of_a_value();
    struct consensus_message transfer = {
        .type = PAXOS_TRANSFER, .ballot = rig_ballot(2, 2), .chosen = 1};
    cr_assert_eq(rig_receive(&rig, 2, transfer), TORC_STALE);
    cr_assert_eq(rig_receive(&rig, 3,
                             (struct consensus_message){
                                 .type = PAXOS_HEARTBEAT, .ballot = rig_ballot(3, 3), .round = 1}),
                 TORC_OK);
    transfer.ballot = theirs;
    cr_assert_eq(rig_receive(&rig, 2, transfer), TORC_STALE);
    cr_assert_null(rig_sent(&rig, PAXOS_PREPARE, 0));
    transfer.ballot = rig_ballot(3, 3);
    cr_assert_eq(rig_receive(&rig, 3, transfer), TORC_OK);
    rig_sync(&rig);
    cr_assert_not_null(rig_sent(&rig, PAXOS_PREPARE, 2));
}

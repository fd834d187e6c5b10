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

/* A voter alone with more to propose again than its window holds: what its disk chose in one sync
 * needs no sending. */
TEST_BODY(paxos_leader, one_voter_proposes_more_than_a_window_again, setup, teardown)
{
    rig.config.member_count = 1;
    struct consensus_entry entries[12];
    for (uint64_t i = 0; i < 12; i++)
        entries[i] = rig_entry(&rig, i + 1, rig_ballot(1, 1), NULL);
    struct consensus_boot boot = {
        .promised = rig_ballot(1, 1), .entries = entries, .entry_count = 12};
    rig.config.incarnation = 2;
    rig_start(&rig, &boot);
    rig_tick(&rig, 2 * RIG_ELECTION_MS);
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_LEADER);
    cr_assert_eq(rig_info(&rig).last, 13);
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).applied, 13);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_OK);
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).applied, 14);
}

/* Who says that it lost its memory is sent no entries, makes no quorum and takes nothing over. */
TEST_BODY(paxos_leader, does_not_count_on_an_amnesiac, setup, teardown)
{
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    uint64_t round = rig_sent(&rig, PAXOS_HEARTBEAT, 3)->round;
    rig_confirm(&rig, 2, ballot, round);
    cr_assert_eq(rig_read(&rig, 1, CONSENSUS_READ_QUORUM), TORC_OK);
    cr_assert_eq(rig_receive(&rig, 3,
                             (struct consensus_message){.type = PAXOS_HEARTBEAT_REPLY,
                                                        .ballot = ballot,
                                                        .echo = round + 1,
                                                        .round = rig.now_ms,
                                                        .chosen = 1,
                                                        .flags = PAXOS_AMNESIAC}),
                 TORC_OK);
    cr_assert_eq(rig.read_count, 0, "a round confirmed by who votes no more");
    rig_forget(&rig);
    rig_propose(&rig, "a");
    cr_assert_not_null(rig_sent(&rig, PAXOS_ACCEPT, 2));
    cr_assert_null(rig_sent(&rig, PAXOS_ACCEPT, 3));
    struct consensus_event event = {.type = CONSENSUS_TRANSFER};
    event.u.transfer_to = 3;
    cr_assert_eq(rig_step(&rig, event), TORC_NOT_FOUND);
    /* In its next life it may be whole. */
    rig_receive(&rig, 3,
                (struct consensus_message){.type = PAXOS_HEARTBEAT_REPLY,
                                           .incarnation = 2,
                                           .ballot = ballot,
                                           .echo = round,
                                           .round = 1,
                                           .chosen = 1});
    rig_propose(&rig, "b");
    cr_assert_not_null(rig_sent(&rig, PAXOS_ACCEPT, 3));
}

/* To be asked twice to hand over to the same one begins nothing anew; to itself it never does. */
TEST_BODY(paxos_leader, a_transfer_is_begun_once, setup, teardown)
{
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    rig_confirm(&rig, 2, ballot, 1);
    struct consensus_event event = {.type = CONSENSUS_TRANSFER};
    event.u.transfer_to = 1;
    cr_assert_eq(rig_step(&rig, event), TORC_NOT_FOUND);
    event.u.transfer_to = 9;
    cr_assert_eq(rig_step(&rig, event), TORC_NOT_FOUND);
    event.u.transfer_to = 2;
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    rig_turn(&rig);
    uint32_t messages = rig.message_count;
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    rig_turn(&rig);
    cr_assert_eq(rig.message_count, messages);
}

/* A value that it learned as chosen is proposed again, whatever ballot another one was accepted at
 * that a promise reports there. */
TEST_BODY(paxos_leader, proposes_what_it_learned_as_chosen, setup, teardown)
{
    rig_start(&rig, NULL);
    const struct base_ballot theirs = rig_ballot(1, 2);
    struct consensus_entry chosen = rig_entry(&rig, 2, theirs, "chosen");
    struct consensus_message learned = {.type = PAXOS_LEARNED,
                                        .ballot = theirs,
                                        .first = 2,
                                        .last = 2,
                                        .chosen = 2,
                                        .entries = &chosen,
                                        .entry_count = 1};
    cr_assert_eq(rig_receive(&rig, 2,
                             (struct consensus_message){
                                 .type = PAXOS_HEARTBEAT, .ballot = theirs, .round = 1}),
                 TORC_OK);
    cr_assert_eq(rig_receive(&rig, 2, learned), TORC_OK);
    /* Somebody stood at a high round, so the next one is above what the promise reports. */
    cr_assert_eq(rig_receive(&rig, 3,
                             (struct consensus_message){.type = PAXOS_CANVASS,
                                                        .ballot = rig_ballot(8, 3),
                                                        .first = 1,
                                                        .last = 1,
                                                        .round = 1}),
                 TORC_OK);
    struct base_ballot ballot = rig_stand(&rig);
    cr_assert_gt(ballot.round, 8);
    struct consensus_entry other = rig_entry(&rig, 2, rig_ballot(7, 3), "other");
    cr_assert_eq(rig_receive(&rig, 2,
                             (struct consensus_message){.type = PAXOS_PROMISE,
                                                        .ballot = ballot,
                                                        .first = 1,
                                                        .last = 2,
                                                        .flags = PAXOS_END,
                                                        .entries = &other,
                                                        .entry_count = 1}),
                 TORC_OK);
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_LEADER);
    const struct consensus_entry *proposed = NULL;
    for (uint32_t i = 0; i < rig.record_count; i++) {
        if (rig.records[i].entry.slot == 2)
            proposed = &rig.records[i].entry;
    }
    cr_assert(base_ballot_equal(proposed->ballot, ballot));
    cr_assert_eq(proposed->value, chosen.value);
}

/* A member that is no voter is sent entries once, is not waited for, and takes nothing over. */
TEST_BODY(paxos_leader, does_not_wait_for_a_learner, setup, teardown)
{
    rig.members[2].voter = false;
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    rig_confirm(&rig, 3, ballot, 1);
    struct consensus_event event = {.type = CONSENSUS_TRANSFER};
    event.u.transfer_to = 3;
    cr_assert_eq(rig_step(&rig, event), TORC_NOT_FOUND);
    rig_forget(&rig);
    rig_propose(&rig, "a");
    rig_sync(&rig);
    cr_assert_not_null(rig_sent(&rig, PAXOS_ACCEPT, 2));
    cr_assert_not_null(rig_sent(&rig, PAXOS_ACCEPT, 3));
    uint64_t chosen = rig_info(&rig).chosen;
    rig_accepted(&rig, 3, ballot, chosen + 1, chosen + 1);
    cr_assert_eq(rig_info(&rig).chosen, chosen, "its word makes no quorum");
    rig_forget(&rig);
    rig_tick(&rig, rig.config.retransmit_timeout_ms);
    cr_assert_not_null(rig_sent(&rig, PAXOS_ACCEPT, 2));
    cr_assert_null(rig_sent(&rig, PAXOS_ACCEPT, 3));
    /* What every voter holds, whatever the learner does. */
    rig_receive(&rig, 2,
                (struct consensus_message){.type = PAXOS_ACCEPTED,
                                           .ballot = ballot,
                                           .first = chosen + 1,
                                           .last = chosen + 1,
                                           .chosen = chosen + 1,
                                           .durable = chosen + 1});
    rig_sync(&rig);
    rig_forget(&rig);
    rig_tick(&rig, RIG_HEARTBEAT_MS);
    rig_sync(&rig);
    rig_tick(&rig, RIG_HEARTBEAT_MS);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->floor, rig_info(&rig).durable);
    cr_assert_geq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->floor, chosen);
}

/* A round that is confirmed when its time is no longer remembered renews no lease: in its place
 * stands the time of a much later one. */
TEST_BODY(paxos_leader, a_round_from_long_ago_renews_no_lease, setup, teardown)
{
    rig.config.lease_ms = 90;
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    uint64_t first = rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round;
    while (rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round < first + 100) {
        rig_forget(&rig);
        rig_tick(&rig, RIG_HEARTBEAT_MS);
        rig_accepted(&rig, 2, ballot, 1, 1); /* So it leads on. */
    }
    uint64_t newest = rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round;
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_LEADER);
    cr_assert_not(consensus_lease_holds(rig.machine, rig.now_ms));
    rig_confirm(&rig, 2, ballot, newest - 64);
    cr_assert_not(consensus_lease_holds(rig.machine, rig.now_ms));
    rig_confirm(&rig, 2, ballot, newest - 63);
    cr_assert_not(consensus_lease_holds(rig.machine, rig.now_ms), "remembered, and over");
    rig_confirm(&rig, 2, ballot, newest);
    cr_assert(consensus_lease_holds(rig.machine, rig.now_ms));
}

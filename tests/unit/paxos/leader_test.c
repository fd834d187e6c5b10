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

/*
 * What no correct peer sends, one flaw at a time: a message that is taken, and the same with one
 * field changed, which must be refused as malformed.
 */
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

static const struct base_ballot theirs = {.round = 1, .node = 12, .incarnation = 1};

/* `message` from replica 2 with one change is malformed; without it, it is not. */
#define MALFORMED_WITH(message, change)                                                            \
    do {                                                                                           \
        struct consensus_message flawed = message;                                                 \
        flawed.change;                                                                             \
        cr_assert_eq(rig_receive(&rig, 2, flawed), TORC_MALFORMED, #change);                       \
    } while (0)

/* An entry's kind, ballots and slot belong together, and into its message. */
TEST_BODY(paxos_receive, entries_are_looked_at, setup, teardown)
{
    rig_start(&rig, NULL);
    struct consensus_entry entry = rig_entry(&rig, 2, theirs, "a");
    const struct consensus_entry good = entry;
    const struct consensus_message accept = {.type = PAXOS_ACCEPT,
                                             .ballot = theirs,
                                             .first = 2,
                                             .last = 2,
                                             .entries = &entry,
                                             .entry_count = 1};
#define BREAKS(change)                                                                             \
    entry.change;                                                                                  \
    cr_assert_eq(rig_receive(&rig, 2, accept), TORC_MALFORMED, #change);                           \
    entry = good
    BREAKS(slot = 0);
    BREAKS(slot = 1);
    BREAKS(slot = 3);
    BREAKS(kind = 0);
    BREAKS(kind = CONSENSUS_BARRIER + 1);
    BREAKS(kind = CONSENSUS_BARRIER);
    BREAKS(value = NULL);
    BREAKS(origin = (struct base_ballot){.round = 0});
    BREAKS(origin.round = 2);
    BREAKS(ballot.round = 2);
#undef BREAKS
    cr_assert_eq(rig_receive(&rig, 2, accept), TORC_OK);
    /* Accepted at an earlier ballot: only a promise may report that. */
    struct consensus_message later = accept;
    later.ballot.round = 2;
    cr_assert_eq(rig_receive(&rig, 2, later), TORC_MALFORMED, "accepted at another ballot");
    entry.ballot.round = 2;
    cr_assert_eq(rig_receive(&rig, 2, later), TORC_OK);
}

/* Who may send it, to whom, about which slots. */
TEST_BODY(paxos_receive, the_head_is_looked_at, setup, teardown)
{
    rig.members[2].voter = false;
    rig_start(&rig, NULL);
    const struct consensus_message heartbeat = {
        .type = PAXOS_HEARTBEAT, .ballot = theirs, .round = 1};
    MALFORMED_WITH(heartbeat, ballot = (struct base_ballot){.round = 0});
    MALFORMED_WITH(heartbeat, other.round = UINT64_MAX);
    MALFORMED_WITH(heartbeat, incarnation = 2);
    MALFORMED_WITH(heartbeat, last = UINT64_MAX);
    MALFORMED_WITH(heartbeat, first = 2);
    MALFORMED_WITH(heartbeat, type = 0);
    struct consensus_message learners = heartbeat;
    learners.ballot = rig_ballot(1, 3);
    cr_assert_eq(rig_receive(&rig, 3, learners), TORC_MALFORMED, "a learner leads nobody");
    cr_assert_eq(rig_receive(&rig, 2, heartbeat), TORC_OK);

    struct consensus_event event = {.type = CONSENSUS_RECEIVE};
    struct consensus_message elsewhere = heartbeat;
    elsewhere.from = 2;
    elsewhere.to = 1;
    event.u.receive = &elsewhere;
    cr_assert_eq(rig_step(&rig, event), TORC_MALFORMED, "of no life");
    elsewhere.incarnation = 1;
    elsewhere.to = 3;
    cr_assert_eq(rig_step(&rig, event), TORC_MALFORMED, "to somebody else");
    elsewhere.to = 1;
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
}

/* Slots count from 1: nobody asks about slot 0. */
TEST_BODY(paxos_receive, questions_begin_at_a_slot, setup, teardown)
{
    rig_start(&rig, NULL);
    const struct consensus_message canvass = {
        .type = PAXOS_CANVASS, .ballot = theirs, .first = 1, .last = 1, .round = 1};
    MALFORMED_WITH(canvass, first = 0);
    cr_assert_eq(rig_receive(&rig, 2, canvass), TORC_OK);
    const struct consensus_message prepare = {
        .type = PAXOS_PREPARE, .ballot = theirs, .first = 1, .last = 1};
    MALFORMED_WITH(prepare, first = 0);
    cr_assert_eq(rig_receive(&rig, 2, prepare), TORC_OK);

    const struct base_ballot ballot = rig_serve(&rig);
    const struct consensus_message learn = {
        .type = PAXOS_LEARN, .ballot = ballot, .first = 1, .last = 1};
    MALFORMED_WITH(learn, first = 0);
    cr_assert_eq(rig_receive(&rig, 2, learn), TORC_OK);
}

/* A replica that lost its memory is asked nothing, by those who would stand. */
TEST_BODY(paxos_receive, an_amnesiac_has_no_voice_to_ask_for, setup, teardown)
{
    struct consensus_boot boot = {.amnesiac = true};
    rig_start(&rig, &boot);
    const struct consensus_message canvass = {
        .type = PAXOS_CANVASS, .ballot = theirs, .first = 1, .last = 1, .round = 1};
    cr_assert_eq(rig_receive(&rig, 2, canvass), TORC_STALE);
    cr_assert_null(rig_sent(&rig, PAXOS_CANVASS_REPLY, 0));
}

/* What a promise reports is bounded by what there is room for, and every chunk says something. */
TEST_BODY(paxos_receive, promises_are_looked_at, setup, teardown)
{
    rig_start(&rig, NULL);
    const struct base_ballot ballot = rig_stand(&rig);
    const struct consensus_message promise = {
        .type = PAXOS_PROMISE, .ballot = ballot, .first = 1, .last = 0, .flags = PAXOS_END};
    MALFORMED_WITH(promise, last = UINT64_MAX - 1);
    MALFORMED_WITH(promise, flags = 0);
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_CANDIDATE);
    cr_assert_eq(rig_receive(&rig, 2, promise), TORC_OK);
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_LEADER);
}

/* A leader hears no answers to what it never said. */
TEST_BODY(paxos_receive, answers_are_to_what_was_asked, setup, teardown)
{
    rig_start(&rig, NULL);
    const struct base_ballot ballot = rig_serve(&rig);
    const uint64_t last = rig_info(&rig).last;
    const struct consensus_message accepted = {
        .type = PAXOS_ACCEPTED, .ballot = ballot, .first = 1, .last = last};
    MALFORMED_WITH(accepted, first = 0);
    MALFORMED_WITH(accepted, last = last + 1);
    cr_assert_eq(rig_receive(&rig, 2, accepted), TORC_OK);
    const uint64_t round = rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round;
    const struct consensus_message reply = {
        .type = PAXOS_HEARTBEAT_REPLY, .ballot = ballot, .echo = round, .round = rig.now_ms};
    MALFORMED_WITH(reply, echo = round + 1);
    cr_assert_eq(rig_receive(&rig, 2, reply), TORC_OK);
}

/* Types that were never given have a name too. */
TEST_BODY(paxos_receive, every_type_has_a_name, setup, teardown)
{
    cr_assert_str_eq(paxos_type.message_name(PAXOS_TRANSFER), "TRANSFER");
    cr_assert_str_eq(paxos_type.message_name(0), "UNKNOWN");
    cr_assert_str_eq(paxos_type.message_name(PAXOS_TRANSFER + 1), "UNKNOWN");
    rig_start(&rig, NULL);
}

/* A refused message changes nothing: what it says of its sender's life is not believed. */
TEST_BODY(paxos_receive, malformed_messages_name_no_life, setup, teardown)
{
    rig_start(&rig, NULL);
    const struct consensus_message heartbeat = {
        .type = PAXOS_HEARTBEAT, .ballot = theirs, .round = 1};
    MALFORMED_WITH(heartbeat, type = 77; flawed.incarnation = 9; flawed.ballot.incarnation = 9);
    cr_assert_eq(rig_receive(&rig, 2, heartbeat), TORC_OK);
}

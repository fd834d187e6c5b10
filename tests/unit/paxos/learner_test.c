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

/* Replica 2 leads and says that all up to `chosen` is. */
static void heartbeat(uint64_t round, uint64_t chosen)
{
    cr_assert_eq(rig_receive(&rig, 2,
                             (struct consensus_message){.type = PAXOS_HEARTBEAT,
                                                        .ballot = theirs,
                                                        .round = round,
                                                        .chosen = chosen}),
                 TORC_OK);
}

/* A message with entries of no-ops in [first, last]. */
static void send_entries(uint8_t type, uint64_t first, uint64_t last, uint64_t chosen)
{
    struct consensus_entry entries[32];
    for (uint64_t s = first; s <= last; s++)
        entries[s - first] = rig_entry(&rig, s, theirs, NULL);
    cr_assert_eq(
        rig_receive(&rig, 2,
                    (struct consensus_message){.type = type,
                                               .ballot = theirs,
                                               .first = first,
                                               .last = last,
                                               .chosen = chosen,
                                               .entries = entries,
                                               .entry_count = (uint32_t)(last - first + 1)}),
        TORC_OK);
}

/* Who applies slowly asks for no more than it may hold, and goes on when it has applied. */
TEST_BODY(paxos_learner, asks_only_for_what_it_has_room_for, setup, teardown)
{
    rig_start(&rig, NULL);
    uint32_t window = rig.config.window_entries_max;
    send_entries(PAXOS_ACCEPT, 1, window, 0);
    heartbeat(1, window);
    send_entries(PAXOS_ACCEPT, window + 1, 2 * window, window);
    heartbeat(2, 2 * window + 1); /* Nothing is synced: nothing is applied. */
    cr_assert_eq(rig_info(&rig).chosen, 2 * window);
    cr_assert_eq(rig_info(&rig).applied, 0);
    cr_assert_null(rig_sent(&rig, PAXOS_LEARN, 0), "no room for slot %u", 2 * window + 1);
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).applied, 2 * window);
    heartbeat(3, 2 * window + 1);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARN, 2)->first, 2 * window + 1);
}

/* What it is taught is taken once, and up to where it has room. */
TEST_BODY(paxos_learner, takes_what_it_is_taught_once_and_within_its_window, setup, teardown)
{
    rig_start(&rig, NULL);
    uint32_t window = rig.config.window_entries_max;
    heartbeat(1, window + 2);
    send_entries(PAXOS_LEARNED, 2, 2, window + 2);
    uint32_t records = rig.record_count;
    send_entries(PAXOS_LEARNED, 2, 2, window + 2);
    cr_assert_eq(rig.record_count, records, "learned twice");
    cr_assert_eq(rig_info(&rig).chosen, 0);
    send_entries(PAXOS_LEARNED, 1, window + 2, window + 2);
    cr_assert_eq(rig.record_count, records + window - 1);
    cr_assert_eq(rig_info(&rig).chosen, window);
    cr_assert_eq(rig_info(&rig).last, window);
}

/* What is no answer to the promise in force, or about no slot, is not taken. */
TEST_BODY(paxos_learner, takes_nothing_of_another_ballot, setup, teardown)
{
    rig_start(&rig, NULL);
    heartbeat(1, 1);
    struct consensus_message learned = {.type = PAXOS_LEARNED, .ballot = theirs, .chosen = 1};
    cr_assert_eq(rig_receive(&rig, 2, learned), TORC_STALE, "slot 0");
    learned.first = learned.last = 1;
    learned.ballot.round = 2;
    cr_assert_eq(rig_receive(&rig, 2, learned), TORC_STALE);
    cr_assert_eq(rig_info(&rig).chosen, 0);
}

/* A leader that has nothing but its newest entry in memory, asked by replica 3 for slots 1 to 3. */
static void be_asked_for_the_log(void)
{
    rig.config.cache_bytes_max = 0;
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    for (uint64_t s = 2; s <= 3; s++) {
        rig_propose(&rig, "a");
        rig_sync(&rig);
        rig_accepted(&rig, 2, ballot, s, s);
    }
    cr_assert_eq(rig_info(&rig).applied, 3);
    rig_forget(&rig);
    cr_assert_eq(rig_receive(&rig, 3,
                             (struct consensus_message){
                                 .type = PAXOS_LEARN, .ballot = ballot, .first = 1, .last = 3}),
                 TORC_OK);
    cr_assert_eq(rig.load_first, 1);
    cr_assert_eq(rig.load_last, 3);
}

static void load(const struct consensus_entry *entries, uint32_t count)
{
    struct consensus_event event = {.type = CONSENSUS_LOADED};
    event.u.loaded.entries = entries;
    event.u.loaded.entry_count = count;
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    rig_turn(&rig);
}

/* It teaches the run of slots that its log has from the first one asked for on. */
TEST_BODY(paxos_learner, teaches_a_run_without_gaps, setup, teardown)
{
    be_asked_for_the_log();
    struct base_ballot ballot = rig_info(&rig).ballot;
    struct consensus_entry entries[] = {rig_entry(&rig, 1, ballot, NULL),
                                        rig_entry(&rig, 3, ballot, NULL)};
    load(entries, 2);
    const struct consensus_message *learned = rig_sent(&rig, PAXOS_LEARNED, 3);
    cr_assert_eq(learned->last, 1);
    cr_assert_eq(learned->entry_count, 1);
    /* Nobody asked for these. */
    rig_forget(&rig);
    load(entries, 2);
    cr_assert_null(rig_sent(&rig, PAXOS_LEARNED, 0));
}

/* The log was trimmed while it was read: the peer is told; if it was not, the peer asks again. */
TEST_BODY(paxos_learner, says_that_nobody_has_it_when_the_log_was_trimmed_meanwhile, setup,
          teardown)
{
    be_asked_for_the_log();
    struct base_ballot ballot = rig_info(&rig).ballot;
    load(NULL, 0);
    cr_assert_null(rig_sent(&rig, PAXOS_LEARNED, 0));
    rig_receive(
        &rig, 3,
        (struct consensus_message){.type = PAXOS_LEARN, .ballot = ballot, .first = 1, .last = 3});
    struct consensus_event trimmed = {.type = CONSENSUS_TRIMMED};
    trimmed.u.trimmed_slot = 2;
    cr_assert_eq(rig_step(&rig, trimmed), TORC_OK);
    load(NULL, 0);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARNED, 3)->flags, PAXOS_GONE);
}

/* What it learned above a hole is asked for no more, and no later ballot writes over it. */
TEST_BODY(paxos_learner, keeps_what_it_learned_above_a_hole, setup, teardown)
{
    rig_start(&rig, NULL);
    heartbeat(1, 4);
    send_entries(PAXOS_LEARNED, 2, 3, 4);
    rig_sync(&rig);
    rig_forget(&rig);
    rig_tick(&rig, rig.config.retransmit_timeout_ms);
    heartbeat(2, 4);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARN, 2)->first, 1);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARN, 2)->last, 1);

    struct base_ballot later = rig_ballot(2, 3);
    struct consensus_entry entry = rig_entry(&rig, 2, theirs, NULL);
    entry.ballot = later;
    uint32_t records = rig.record_count;
    cr_assert_eq(rig_receive(&rig, 3,
                             (struct consensus_message){.type = PAXOS_ACCEPT,
                                                        .ballot = later,
                                                        .first = 2,
                                                        .last = 2,
                                                        .entries = &entry,
                                                        .entry_count = 1}),
                 TORC_OK);
    for (uint32_t i = records; i < rig.record_count; i++)
        cr_assert_neq(rig.records[i].kind, CONSENSUS_RECORD_ENTRY);
    rig_sync(&rig);
    cr_assert_eq(rig_sent(&rig, PAXOS_ACCEPTED, 3)->last, 2);
}

/* What is not chosen yet is taught to nobody. */
TEST_BODY(paxos_learner, teaches_only_what_is_chosen, setup, teardown)
{
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    rig_propose(&rig, "a");
    rig_sync(&rig);
    uint64_t chosen = rig_info(&rig).chosen;
    cr_assert_eq(rig_info(&rig).last, chosen + 1);
    struct consensus_message learn = {
        .type = PAXOS_LEARN, .ballot = ballot, .first = chosen + 1, .last = chosen + 1};
    cr_assert_eq(rig_receive(&rig, 3, learn), TORC_STALE);
    cr_assert_null(rig_sent(&rig, PAXOS_LEARNED, 0));
    learn.first = chosen;
    cr_assert_eq(rig_receive(&rig, 3, learn), TORC_OK);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARNED, 3)->last, chosen, "up to the chosen index");
}

/* What was read of the log for somebody before is not taken for what is asked for now. */
TEST_BODY(paxos_learner, teaches_nothing_that_was_loaded_for_an_earlier_question, setup, teardown)
{
    be_asked_for_the_log();
    struct base_ballot ballot = rig_info(&rig).ballot;
    struct consensus_entry entries[] = {rig_entry(&rig, 1, ballot, NULL),
                                        rig_entry(&rig, 2, ballot, NULL)};
    load(entries, 2);
    rig_forget(&rig);
    struct consensus_message learn = {.type = PAXOS_LEARN,
                                      .from = 2,
                                      .to = 1,
                                      .incarnation = 1,
                                      .ballot = ballot,
                                      .first = 1,
                                      .last = 3};
    struct consensus_event event = {.type = CONSENSUS_RECEIVE, .u.receive = &learn};
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    load(entries, 2); /* Before anybody was told what to load. */
    cr_assert_null(rig_sent(&rig, PAXOS_LEARNED, 0));
    cr_assert_eq(rig.load_first, 1);
    load(entries, 2);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARNED, 2)->last, 2);
}

/* Word of an earlier trimming changes nothing. */
TEST_BODY(paxos_learner, knows_the_last_slot_that_was_trimmed, setup, teardown)
{
    be_asked_for_the_log();
    struct base_ballot ballot = rig_info(&rig).ballot;
    struct consensus_event trimmed = {.type = CONSENSUS_TRIMMED};
    for (uint64_t slot = 2; slot > 0; slot--) {
        trimmed.u.trimmed_slot = slot;
        cr_assert_eq(rig_step(&rig, trimmed), TORC_OK);
    }
    load(NULL, 0);
    cr_assert_eq(rig_receive(&rig, 3,
                             (struct consensus_message){
                                 .type = PAXOS_LEARN, .ballot = ballot, .first = 2, .last = 3}),
                 TORC_OK);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARNED, 3)->first, 2);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARNED, 3)->flags, PAXOS_GONE);
}

/* A barrier of an earlier leader, proposed again behind a later one's, lowers nothing: what that
 * earlier leader proposed stays void. */
TEST_BODY(paxos_learner, earlier_barrier_behind_a_later_one_is_nothing, setup, teardown)
{
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_ballot(5, 2);
    struct consensus_entry entries[] = {
        rig_entry(&rig, 1, ballot, NULL), rig_entry(&rig, 2, ballot, NULL),
        rig_entry(&rig, 3, ballot, "late"), rig_entry(&rig, 4, ballot, "right")};
    entries[0].kind = entries[1].kind = CONSENSUS_BARRIER;
    entries[0].origin = entries[3].origin = rig_ballot(3, 2);
    entries[1].origin = entries[2].origin = rig_ballot(2, 2);
    cr_assert_eq(rig_receive(&rig, 2,
                             (struct consensus_message){.type = PAXOS_ACCEPT,
                                                        .ballot = ballot,
                                                        .first = 1,
                                                        .last = 4,
                                                        .chosen = 4,
                                                        .entries = entries,
                                                        .entry_count = 4}),
                 TORC_OK);
    rig_sync(&rig);
    cr_assert_eq(rig.apply_count, 4);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert(base_ballot_equal(rig.applies[i].barrier, rig_ballot(3, 2)));
    cr_assert_not(rig.applies[2].effective);
    cr_assert(rig.applies[3].effective);
}

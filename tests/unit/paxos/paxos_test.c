/*
 * One test per rule of the protocol (docs/protocol.md has the numbers), named after it. RULE states
 * a property that must hold with the rule and must fail with the rule switched off, so such a test
 * is shown to be able to fail every time it runs.
 */
#include <criterion/criterion.h>

#include "paxos/mutant.h"
#include "tests/unit/paxos/rig.h"

#define RULE(name, mutant)                                                                         \
    static bool name(struct rig *rig);                                                             \
    Test(paxos, name)                                                                              \
    {                                                                                              \
        static struct rig with, without;                                                           \
        rig_init(&with);                                                                           \
        cr_assert(name(&with), "the rule does not hold");                                          \
        rig_fini(&with);                                                                           \
        paxos_mutant = PAXOS_MUTANT_##mutant;                                                      \
        rig_init(&without);                                                                        \
        cr_assert(!name(&without), "without the rule the test does not fail");                     \
        paxos_mutant = PAXOS_MUTANT_NONE;                                                          \
    }                                                                                              \
    static bool name(struct rig *rig)

static struct consensus_message prepare_at(struct base_ballot ballot, uint64_t first)
{
    return (struct consensus_message){
        .type = PAXOS_PREPARE, .ballot = ballot, .first = first, .last = first};
}

static struct consensus_message accept_of(const struct consensus_entry *entry, uint64_t chosen)
{
    return (struct consensus_message){.type = PAXOS_ACCEPT,
                                      .ballot = entry->ballot,
                                      .first = entry->slot,
                                      .last = entry->slot,
                                      .chosen = chosen,
                                      .entries = entry,
                                      .entry_count = 1};
}

static struct consensus_message heartbeat_at(struct base_ballot ballot, uint64_t round,
                                             uint64_t chosen)
{
    return (struct consensus_message){
        .type = PAXOS_HEARTBEAT, .ballot = ballot, .round = round, .chosen = chosen};
}

/* ---- Rule 1: durable before visible. */

/* A promise leaves only after its record is synced. */
RULE(rule_1_promise_waits_for_its_record, PROMISE_BEFORE_DURABLE)
{
    rig_start(rig, NULL);
    rig_receive(rig, 2, prepare_at(rig_ballot(1, 2), 1));
    bool early = rig_sent(rig, PAXOS_PROMISE, 2) != NULL;
    /* The question again, before the answer may leave. */
    rig_receive(rig, 2, prepare_at(rig_ballot(1, 2), 1));
    early |= rig_sent(rig, PAXOS_PROMISE, 2) != NULL;
    rig_sync(rig);
    return !early && rig_sent(rig, PAXOS_PROMISE, 2) != NULL;
}

/* An accept is acknowledged only after its record is synced, also when it comes twice. */
RULE(rule_1_acknowledgement_waits_for_its_record, ACCEPT_BEFORE_DURABLE)
{
    rig_start(rig, NULL);
    struct consensus_entry entry = rig_entry(rig, 1, rig_ballot(1, 2), "a");
    rig_receive(rig, 2, accept_of(&entry, 0));
    rig_receive(rig, 2, accept_of(&entry, 0));
    bool early = rig_sent(rig, PAXOS_ACCEPTED, 2) != NULL;
    rig_sync(rig);
    return !early && rig_sent(rig, PAXOS_ACCEPTED, 2) != NULL;
}

/* The leader's own accept counts only when it is durable, as anybody's. */
RULE(rule_1_leader_counts_itself_when_durable, OWN_ACCEPT_EARLY)
{
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_serve(rig);
    rig_propose(rig, "a");
    rig_accepted(rig, 2, ballot, 2, 2);
    bool early = rig_info(rig).chosen == 2;
    rig_sync(rig);
    return !early && rig_info(rig).chosen == 2;
}

/* A quorum may form without this disk, but what is applied is always in the own log. */
RULE(rule_1_applied_is_in_the_own_log, APPLIED_UNLOGGED)
{
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_serve(rig);
    rig_propose(rig, "a");
    rig_accepted(rig, 2, ballot, 2, 2);
    rig_accepted(rig, 3, ballot, 2, 2);
    bool early = rig_info(rig).applied == 2;
    cr_assert_eq(rig_info(rig).chosen, 2);
    rig_sync(rig);
    return !early && rig_info(rig).applied == 2;
}

/* ---- Rule 2: ballots. */

/* The candidate's own promise is durable before its first prepare. */
RULE(rule_2_own_promise_before_first_prepare, PREPARE_BEFORE_DURABLE)
{
    rig_start(rig, NULL);
    rig_tick(rig, 2 * RIG_ELECTION_MS);
    const struct consensus_message *canvass = rig_sent(rig, PAXOS_CANVASS, 2);
    rig_receive(rig, 2,
                (struct consensus_message){.type = PAXOS_CANVASS_REPLY,
                                           .ballot = canvass->ballot,
                                           .echo = canvass->round,
                                           .flags = PAXOS_YES});
    bool early = rig_sent(rig, PAXOS_PREPARE, 0) != NULL;
    rig_sync(rig);
    return !early && rig_sent(rig, PAXOS_PREPARE, 0) != NULL;
}

/* The ballot of the PREPARE that a life of the replica sends before it syncs anything; none. */
static struct base_ballot ballot_of_a_short_life(struct rig *rig)
{
    rig_start(rig, NULL);
    rig_forget(rig);
    rig_tick(rig, 2 * RIG_ELECTION_MS);
    const struct consensus_message *canvass = rig_sent(rig, PAXOS_CANVASS, 2);
    rig_receive(rig, 2,
                (struct consensus_message){.type = PAXOS_CANVASS_REPLY,
                                           .ballot = canvass->ballot,
                                           .echo = canvass->round,
                                           .flags = PAXOS_YES});
    const struct consensus_message *prepare = rig_sent(rig, PAXOS_PREPARE, 2);
    struct base_ballot ballot = prepare == NULL ? (struct base_ballot){0} : prepare->ballot;
    rig_stop(rig);
    return ballot;
}

/* Two lives that lose what they did not sync never use the same ballot, even were the incarnation
 * the same: one that others know is in the log. */
RULE(rule_2_no_ballot_is_used_by_two_lives, BALLOT_REUSED)
{
    struct base_ballot first = ballot_of_a_short_life(rig);
    struct base_ballot second = ballot_of_a_short_life(rig);
    return base_ballot_is_none(first) || !base_ballot_equal(first, second);
}

/* Accepting at a ballot promises it. */
RULE(rule_2_accepting_raises_the_promise, ACCEPT_KEEPS_PROMISE)
{
    rig_start(rig, NULL);
    struct consensus_entry entry = rig_entry(rig, 1, rig_ballot(5, 2), "a");
    struct consensus_event event = {.type = CONSENSUS_RECEIVE};
    struct consensus_message message = accept_of(&entry, 0);
    message.from = 2;
    message.to = message.incarnation = 1;
    event.u.receive = &message;
    event.now_ms = rig->now_ms;
    cr_assert_eq(consensus_step(rig->machine, &event), TORC_OK); /* No check: it would abort. */
    rig_turn(rig);
    return base_ballot_equal(rig_info(rig).ballot, entry.ballot);
}

/* Nothing below the promise is accepted. */
RULE(rule_2_accept_below_the_promise_is_refused, OLD_ACCEPT_TAKEN)
{
    rig_start(rig, NULL);
    rig_receive(rig, 3, prepare_at(rig_ballot(5, 3), 1));
    rig_sync(rig);
    struct consensus_entry entry = rig_entry(rig, 1, rig_ballot(4, 2), "a");
    rig_receive(rig, 2, accept_of(&entry, 0));
    const struct consensus_message *refused = rig_sent(rig, PAXOS_REFUSED, 2);
    return refused != NULL && base_ballot_equal(refused->other, rig_ballot(5, 3)) &&
           rig_info(rig).last == 0;
}

/* Replies of an earlier ballot are not counted for the present one. */
RULE(rule_2_replies_must_match_the_ballot, OLD_REPLIES_COUNTED)
{
    rig_start(rig, NULL);
    rig_lead(rig);
    rig_accepted(rig, 2, rig_ballot(0xFFFF, 1), 1, 1);
    rig_accepted(rig, 3, (struct base_ballot){.round = 1, .node = 11, .incarnation = 0}, 1, 1);
    return rig_info(rig).chosen == 0;
}

/* ---- Rule 3: phase 1. */

static const struct base_ballot low = {.round = 1, .node = 12, .incarnation = 1};
static const struct base_ballot high = {.round = 2, .node = 13, .incarnation = 1};

/* A candidate that has "own" in slot 1 hears from replica 2 of `other` there, and leads. */
static void lead_over(struct rig *rig, const struct consensus_entry *own,
                      const struct consensus_entry *other, uint64_t chosen)
{
    struct consensus_boot boot = {
        .promised = high, .entries = own, .entry_count = own == NULL ? 0 : 1};
    rig_start(rig, &boot);
    struct base_ballot ballot = rig_stand(rig);
    rig_receive(rig, 2,
                (struct consensus_message){.type = PAXOS_PROMISE,
                                           .ballot = ballot,
                                           .first = 1,
                                           .last = other->slot,
                                           .chosen = chosen,
                                           .entries = other,
                                           .entry_count = 1,
                                           .flags = PAXOS_END});
}

/* Of what a quorum reports for a slot, the value of the highest ballot is proposed again. */
RULE(rule_3_adopts_the_highest_ballot, LOWEST_BALLOT)
{
    struct consensus_entry own = rig_entry(rig, 1, low, "low");
    struct consensus_entry other = rig_entry(rig, 1, high, "high");
    lead_over(rig, &own, &other, 0);
    const struct consensus_entry *sent = rig_sent_entry(rig, PAXOS_ACCEPT, 2);
    return sent->slot == 1 && sent->value == other.value && base_ballot_equal(sent->origin, high);
}

/* What anybody of a quorum accepted may be chosen, and is proposed again. */
RULE(rule_3_adopts_what_may_be_chosen, ADOPTS_NOTHING)
{
    struct consensus_entry other = rig_entry(rig, 1, low, "x");
    lead_over(rig, NULL, &other, 0);
    return rig_sent_entry(rig, PAXOS_ACCEPT, 2)->value == other.value;
}

/* A promise reports as chosen what its sender knows chosen, above every ballot. */
Test(paxos, rule_3_chosen_is_above_every_ballot)
{
    static struct rig rig;
    rig_init(&rig);
    struct consensus_entry own = rig_entry(&rig, 1, high, "own");
    struct consensus_entry other = rig_entry(&rig, 1, low, "chosen");
    lead_over(&rig, &own, &other, 1);
    cr_assert_eq(rig_sent_entry(&rig, PAXOS_ACCEPT, 2)->value, other.value);
    rig_fini(&rig);
}

/* Chosen slots that can no longer be reported are never passed over: the candidate is refused. */
RULE(rule_3_refuses_who_is_behind, PROMISE_FORGETS_CHOSEN)
{
    struct consensus_boot boot = {.promised = low, .applied = 5, .chosen = 5};
    rig_start(rig, &boot);
    rig_receive(rig, 2, prepare_at(rig_ballot(3, 2), 1));
    rig_sync(rig);
    const struct consensus_message *refused = rig_sent(rig, PAXOS_REFUSED, 2);
    return refused != NULL && (refused->flags & PAXOS_BEHIND) != 0 &&
           rig_sent(rig, PAXOS_PROMISE, 2) == NULL;
}

/* A slot for which a quorum reports nothing gets a no-op, and the barrier comes after everything.
 */
Test(paxos, rule_3_fills_holes_and_ends_with_the_barrier)
{
    static struct rig rig;
    rig_init(&rig);
    struct consensus_entry other = rig_entry(&rig, 3, low, "c");
    lead_over(&rig, NULL, &other, 0);
    enum consensus_entry_kind kinds[5] = {0};
    for (uint32_t i = 0; i < rig.record_count; i++) {
        if (rig.records[i].kind == CONSENSUS_RECORD_ENTRY)
            kinds[rig.records[i].entry.slot] = rig.records[i].entry.kind;
    }
    cr_assert_eq(kinds[1], CONSENSUS_NOOP);
    cr_assert_eq(kinds[2], CONSENSUS_NOOP);
    cr_assert_eq(kinds[3], CONSENSUS_VALUE);
    cr_assert_eq(kinds[4], CONSENSUS_BARRIER);
    cr_assert_not(rig_info(&rig).serving);
    rig_fini(&rig);
}

/* An entry first proposed under a lower ballot than the newest barrier before it does nothing. */
RULE(rule_3_barrier_voids_entries_of_earlier_ballots, NO_BARRIER_RULE)
{
    struct consensus_entry entries[2] = {
        {.slot = 1, .ballot = high, .origin = high, .kind = CONSENSUS_BARRIER},
        rig_entry(rig, 2, high, "late"),
    };
    entries[1].origin = low;
    struct consensus_boot boot = {
        .promised = high, .chosen = 2, .entries = entries, .entry_count = 2};
    rig_start(rig, &boot);
    return rig->apply_count == 2 && !rig->applies[1].effective &&
           base_ballot_equal(rig->applies[1].barrier, high);
}

/* ---- Rule 4: chosen means chosen at this ballot. */

/* An entry accepted at another ballot is not marked by the leader's chosen index: it is asked for.
 */
RULE(rule_4_marks_only_entries_of_the_leaders_ballot, CHOSEN_BLIND)
{
    struct consensus_entry own = rig_entry(rig, 1, low, "old");
    struct consensus_boot boot = {.promised = low, .entries = &own, .entry_count = 1};
    rig_start(rig, &boot);
    rig_receive(rig, 3, heartbeat_at(high, 1, 1));
    rig_sync(rig);
    const struct consensus_message *learn = rig_sent(rig, PAXOS_LEARN, 3);
    return rig_info(rig).chosen == 0 && learn != NULL && learn->first == 1;
}

/* A learned value goes to the log, as chosen, in the batch that marks it or before. */
RULE(rule_4_learned_goes_to_the_log, LEARNED_UNLOGGED)
{
    rig_start(rig, NULL);
    rig_receive(rig, 3, heartbeat_at(high, 1, 1));
    struct consensus_entry entry = rig_entry(rig, 1, low, "chosen");
    rig_receive(rig, 3,
                (struct consensus_message){.type = PAXOS_LEARNED,
                                           .ballot = high,
                                           .first = 1,
                                           .last = 1,
                                           .entries = &entry,
                                           .entry_count = 1});
    const struct consensus_record *newest = &rig->records[rig->record_count - 1];
    return rig->mark == 1 && newest->kind == CONSENSUS_RECORD_LEARNED &&
           base_ballot_equal(newest->entry.ballot, high);
}

/* ---- Rule 5: accepted in any order, applied in one. */

/* An acknowledgement names the slots that it covers, not those below. */
RULE(rule_5_acknowledgement_names_its_slots, ACK_CONTIGUOUS)
{
    rig_start(rig, NULL);
    struct consensus_entry entry = rig_entry(rig, 3, low, "c");
    rig_receive(rig, 2, accept_of(&entry, 0));
    rig_sync(rig);
    const struct consensus_message *accepted = rig_sent(rig, PAXOS_ACCEPTED, 2);
    return accepted->first == 3 && accepted->last == 3;
}

/* A hole holds up what is behind it. */
RULE(rule_5_applies_in_order, APPLY_OUT_OF_ORDER)
{
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_serve(rig);
    rig_propose(rig, "a");
    rig_propose(rig, "b");
    rig_accepted(rig, 2, ballot, 3, 3);
    rig_accepted(rig, 3, ballot, 3, 3);
    bool held = rig_info(rig).chosen == 1;
    rig_accepted(rig, 2, ballot, 2, 2);
    rig_accepted(rig, 3, ballot, 2, 2);
    return held && rig_info(rig).chosen == 3;
}

/* A full window makes room by what the same message says is chosen: else every window that a leader
 * fills would wait for a retransmission. */
Test(paxos, rule_5_news_of_what_is_chosen_makes_room)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    uint64_t window = rig.config.window_entries_max;
    for (uint64_t slot = 1; slot <= window; slot++) {
        struct consensus_entry entry = rig_entry(&rig, slot, low, "x");
        rig_receive(&rig, 2, accept_of(&entry, 0));
    }
    rig_sync(&rig);
    struct consensus_entry next = rig_entry(&rig, window + 1, low, "y");
    rig_receive(&rig, 2, accept_of(&next, window));
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).chosen, window);
    cr_assert_eq(rig_sent(&rig, PAXOS_ACCEPTED, 2)->last, window + 1);
    rig_fini(&rig);
}

/* What is unacknowledged for a timeout is sent again, to those who owe the answer. */
Test(paxos, rule_5_unacknowledged_is_sent_again)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    rig_propose(&rig, "a");
    rig_accepted(&rig, 3, ballot, 2, 2);
    rig_forget(&rig);
    rig_tick(&rig, rig.config.retransmit_timeout_ms);
    cr_assert_not_null(rig_sent(&rig, PAXOS_ACCEPT, 2));
    cr_assert_null(rig_sent(&rig, PAXOS_ACCEPT, 3));
    rig_fini(&rig);
}

/* ---- Rule 6: elections. */

/* One of three is no majority. */
RULE(rule_6_leads_only_with_a_quorum, QUORUM_OFF_BY_ONE)
{
    rig_start(rig, NULL);
    rig_tick(rig, 2 * RIG_ELECTION_MS);
    if (rig->seq > 0)
        rig_sync(rig);
    return rig_info(rig).role == CONSENSUS_CANDIDATE;
}

/* Nobody gets a yes from who hears a leader; but the leader itself, stepped down, does. */
Test(paxos, rule_6_canvass_is_refused_while_a_leader_is_heard)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    rig_receive(&rig, 2, heartbeat_at(rig_ballot(1, 2), 1, 0));
    struct consensus_message canvass = {.type = PAXOS_CANVASS, .first = 1, .last = 1, .round = 7};
    canvass.ballot = rig_ballot(2, 3);
    rig_receive(&rig, 3, canvass);
    cr_assert_eq(rig_sent(&rig, PAXOS_CANVASS_REPLY, 3)->flags, 0);
    canvass.ballot = rig_ballot(2, 2);
    rig_receive(&rig, 2, canvass);
    cr_assert_eq(rig_sent(&rig, PAXOS_CANVASS_REPLY, 2)->flags, PAXOS_YES);
    canvass.ballot = rig_ballot(2, 3);
    rig.now_ms += RIG_ELECTION_MS;
    rig_receive(&rig, 3, canvass);
    cr_assert_eq(rig_sent(&rig, PAXOS_CANVASS_REPLY, 3)->flags, PAXOS_YES);
    rig_fini(&rig);
}

/* A candidate that lacks what is no longer in memory here gets a no, and this replica stands. */
Test(paxos, rule_6_who_is_asked_by_one_behind_stands_itself)
{
    static struct rig rig;
    rig_init(&rig);
    struct consensus_boot boot = {.promised = low, .applied = 5, .chosen = 5};
    rig_start(&rig, &boot);
    rig_receive(
        &rig, 2,
        (struct consensus_message){
            .type = PAXOS_CANVASS, .ballot = rig_ballot(3, 2), .first = 1, .last = 1, .round = 1});
    cr_assert_eq(rig_sent(&rig, PAXOS_CANVASS_REPLY, 2)->flags, PAXOS_BEHIND);
    cr_assert_eq(rig.wake_at_ms, rig.now_ms);
    rig_tick(&rig, 0);
    cr_assert_not_null(rig_sent(&rig, PAXOS_CANVASS, 2));
    rig_fini(&rig);
}

/* A leader that a majority has not answered for an election timeout steps down. */
Test(paxos, rule_6_leader_without_a_quorum_steps_down)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    rig_tick(&rig, RIG_ELECTION_MS - 1);
    rig_confirm(&rig, 3, ballot, 1);
    rig_tick(&rig, RIG_ELECTION_MS - 1);
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_LEADER);
    rig_tick(&rig, 1);
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_FOLLOWER);
    cr_assert_eq(consensus_counters(rig.machine)->stepped_down, 1);
    rig_fini(&rig);
}

/* ---- Rule 7: reads. */

/* A quorum read waits until a majority has answered a round. */
RULE(rule_7_read_waits_for_its_round, READ_WITHOUT_ROUND)
{
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_serve(rig);
    rig_confirm(rig, 2, ballot, rig_sent(rig, PAXOS_HEARTBEAT, 2)->round);
    cr_assert_eq(rig_read(rig, 9, CONSENSUS_READ_QUORUM), TORC_OK);
    bool early = rig->read_count > 0;
    rig_confirm(rig, 2, ballot, rig_sent(rig, PAXOS_HEARTBEAT, 2)->round);
    return !early && rig->read_count == 1 && rig->reads[0].status == TORC_OK;
}

/* The round must be sent after the read came: a confirmed earlier one says nothing. */
RULE(rule_7_round_is_sent_after_the_read_came, READ_ROUND_REUSED)
{
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_serve(rig);
    uint64_t earlier = rig_sent(rig, PAXOS_HEARTBEAT, 2)->round;
    rig_confirm(rig, 2, ballot, earlier);
    rig_read(rig, 9, CONSENSUS_READ_QUORUM);
    rig_confirm(rig, 3, ballot, earlier);
    bool early = rig->read_count > 0;
    uint64_t later = rig_sent(rig, PAXOS_HEARTBEAT, 2)->round;
    rig_confirm(rig, 2, ballot, later);
    return !early && later > earlier && rig->read_count == 1;
}

/* One round at a time: a read that comes while one is under way is not confirmed by it, and shares
 * the next, which leaves when that one is confirmed. */
Test(paxos, rule_7_reads_share_the_next_round)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    uint64_t round = rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round;
    rig_read(&rig, 1, CONSENSUS_READ_QUORUM);
    rig_read(&rig, 2, CONSENSUS_READ_QUORUM);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round, round);
    rig_confirm(&rig, 2, ballot, round);
    cr_assert_eq(rig.read_count, 0);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round, round + 1);
    rig_read(&rig, 3, CONSENSUS_READ_QUORUM);
    rig_confirm(&rig, 2, ballot, round + 1);
    cr_assert_eq(rig.read_count, 2);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round, round + 2);
    rig_confirm(&rig, 2, ballot, round + 2);
    cr_assert_eq(rig.read_count, 3);
    rig_fini(&rig);
}

/* A round for reads asks one follower, the one whose answer is the newest; the other is asked when
 * that one does not answer soon, and is the one to ask from then on. */
Test(paxos, rule_7_reads_ask_as_few_as_needed)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    uint64_t round = rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round;
    rig_confirm(&rig, 3, ballot, round);
    rig_forget(&rig);
    rig_read(&rig, 1, CONSENSUS_READ_QUORUM);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 3)->round, round + 1);
    cr_assert_null(rig_sent(&rig, PAXOS_HEARTBEAT, 2));
    rig_tick(&rig, RIG_HEARTBEAT_MS / 10);
    cr_assert_null(rig_sent(&rig, PAXOS_HEARTBEAT, 2));
    rig_forget(&rig);
    rig_tick(&rig, 1);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round, round + 1);
    cr_assert_null(rig_sent(&rig, PAXOS_HEARTBEAT, 3), "it was asked before");
    rig_confirm(&rig, 2, ballot, round + 1);
    cr_assert_eq(rig.read_count, 1);
    rig_forget(&rig);
    rig_read(&rig, 2, CONSENSUS_READ_QUORUM);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round, round + 2);
    cr_assert_null(rig_sent(&rig, PAXOS_HEARTBEAT, 3));
    rig_fini(&rig);
}

/* A round that is lost holds nobody up for longer than to the next heartbeat. */
Test(paxos, rule_7_reads_join_the_heartbeat)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    uint64_t lost = rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round;
    rig_read(&rig, 1, CONSENSUS_READ_QUORUM);
    rig_tick(&rig, RIG_HEARTBEAT_MS);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round, lost + 1);
    rig_confirm(&rig, 2, ballot, lost + 1);
    cr_assert_eq(rig.read_count, 1);
    rig_fini(&rig);
}

/* A new leader's first read waits until its barrier is applied. */
RULE(rule_7_read_waits_for_the_barrier, READ_BEFORE_BARRIER)
{
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_lead(rig);
    rig_confirm(rig, 2, ballot, rig_sent(rig, PAXOS_HEARTBEAT, 2)->round);
    rig_read(rig, 9, CONSENSUS_READ_QUORUM);
    rig_confirm(rig, 2, ballot, rig_sent(rig, PAXOS_HEARTBEAT, 2)->round);
    bool early = rig->read_count > 0;
    rig_accepted(rig, 2, ballot, 1, 1);
    return !early && rig->read_count == 1;
}

/* A read's round is over before its slot is applied here: it waits for that. */
RULE(rule_7_read_waits_until_applied, READ_BEFORE_APPLIED)
{
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_lead(rig);
    rig_confirm(rig, 2, ballot, rig_sent(rig, PAXOS_HEARTBEAT, 2)->round);
    rig_read(rig, 9, CONSENSUS_READ_QUORUM);
    rig_confirm(rig, 2, ballot, rig_sent(rig, PAXOS_HEARTBEAT, 2)->round);
    bool early = rig->read_count > 0;
    rig_accepted(rig, 3, ballot, 1, 1);
    return !early && rig->read_count == 1;
}

/* Reads that wait for a leader that steps down are told so. */
Test(paxos, rule_7_reads_end_with_the_leadership)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    rig_serve(&rig);
    rig_read(&rig, 9, CONSENSUS_READ_QUORUM);
    rig_receive(&rig, 3, heartbeat_at(rig_ballot(99, 3), 1, 0));
    cr_assert_eq(rig.read_count, 1);
    cr_assert_eq(rig.reads[0].status, TORC_NOT_LEADER);
    rig_fini(&rig);
}

/* A lease counts from the moment at which the round was sent. */
RULE(rule_7_lease_counts_from_the_question, LEASE_FROM_ANSWER)
{
    rig->config.lease_ms = 50;
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_serve(rig);
    rig_tick(rig, RIG_HEARTBEAT_MS);
    uint64_t sent_ms = rig->now_ms, round = rig_sent(rig, PAXOS_HEARTBEAT, 2)->round;
    rig->now_ms += 10;
    rig_confirm(rig, 2, ballot, round);
    return consensus_lease_holds(rig->machine, sent_ms + 49) &&
           !consensus_lease_holds(rig->machine, sent_ms + 50);
}

/* A granter promises nobody else until the grant has run out. */
RULE(rule_7_granter_waits, LEASE_GRANT_FORGOTTEN)
{
    rig->config.lease_ms = 50;
    rig_start(rig, NULL);
    rig_receive(rig, 2, heartbeat_at(rig_ballot(1, 2), 1, 0));
    rig_sync(rig);
    rig->now_ms += 50;
    rig_receive(rig, 3, prepare_at(rig_ballot(2, 3), 1));
    rig_sync(rig);
    bool early = rig_sent(rig, PAXOS_PROMISE, 3) != NULL;
    rig->now_ms += 1;
    rig_receive(rig, 3, prepare_at(rig_ballot(2, 3), 1));
    rig_sync(rig);
    return !early && rig_sent(rig, PAXOS_PROMISE, 3) != NULL;
}

/* Also across its own restart. */
RULE(rule_7_granter_waits_after_its_restart, LEASE_FORGOTTEN_AT_BOOT)
{
    struct consensus_boot boot = {.lease_wait_ms = 50};
    rig_start(rig, &boot);
    rig_receive(rig, 3, prepare_at(rig_ballot(2, 3), 1));
    bool early = rig->seq > 0;
    rig->now_ms += 51;
    rig_receive(rig, 3, prepare_at(rig_ballot(2, 3), 1));
    rig_sync(rig);
    return !early && rig_sent(rig, PAXOS_PROMISE, 3) != NULL;
}

/* A leader that hands over drops its lease first, and takes none again under that ballot. */
RULE(rule_7_lease_ends_with_the_transfer, LEASE_SURVIVES_TRANSFER)
{
    rig->config.lease_ms = 50;
    rig_start(rig, NULL);
    struct base_ballot ballot = rig_serve(rig);
    rig_confirm(rig, 2, ballot, 1);
    cr_assert(consensus_lease_holds(rig->machine, rig->now_ms));
    struct consensus_event event = {.type = CONSENSUS_TRANSFER};
    cr_assert_eq(rig_step(rig, event), TORC_OK);
    rig_turn(rig);
    bool held = consensus_lease_holds(rig->machine, rig->now_ms);
    rig_confirm(rig, 2, ballot, rig_sent(rig, PAXOS_HEARTBEAT, 2)->round);
    return !held && !consensus_lease_holds(rig->machine, rig->now_ms);
}

/* The age of a stale read counts only from a round that a majority confirmed. */
RULE(rule_7_stale_read_knows_its_age, FRESH_WITHOUT_ROUND)
{
    rig_start(rig, NULL);
    struct consensus_message heartbeat = heartbeat_at(rig_ballot(1, 2), 1, 0);
    rig_receive(rig, 2, heartbeat);
    uint64_t asked_ms = rig_sent(rig, PAXOS_HEARTBEAT_REPLY, 2)->round;
    heartbeat.round = 2;
    heartbeat.echo = asked_ms;
    heartbeat.first = heartbeat.last = 1;
    rig_receive(rig, 2, heartbeat);
    heartbeat.round = 3;
    rig_receive(rig, 2, heartbeat);
    bool early = rig_info(rig).fresh_at_ms != 0;
    heartbeat.confirmed = 2;
    rig_receive(rig, 2, heartbeat);
    return !early && rig_info(rig).fresh_at_ms == asked_ms;
}

/* ---- Handing over. */

/* The target is asked when everything is chosen and it has it; it needs no canvass. */
Test(paxos, transfer_asks_a_target_that_is_caught_up)
{
    static struct rig rig;
    rig_init(&rig);
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    rig_confirm(&rig, 2, ballot, 1);
    struct consensus_event event = {.type = CONSENSUS_TRANSFER};
    event.u.transfer_to = 2;
    cr_assert_eq(rig_step(&rig, event), TORC_OK);
    rig_turn(&rig);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_NOT_LEADER);
    cr_assert_null(rig_sent(&rig, PAXOS_TRANSFER, 2));
    rig_receive(&rig, 2,
                (struct consensus_message){.type = PAXOS_HEARTBEAT_REPLY,
                                           .ballot = ballot,
                                           .echo = 2,
                                           .round = rig.now_ms,
                                           .chosen = 1});
    cr_assert_not_null(rig_sent(&rig, PAXOS_TRANSFER, 2));
    /* Nobody takes over: it leads on. */
    rig.now_ms += RIG_ELECTION_MS - 1;
    rig_confirm(&rig, 2, ballot, 2);
    rig_tick(&rig, 1);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_OK);
    rig_fini(&rig);
}

/* A replica that is asked to take over prepares at once, and says whose lease was given up. */
Test(paxos, transfer_target_prepares_without_a_canvass)
{
    static struct rig rig;
    rig_init(&rig);
    rig.config.lease_ms = 50;
    rig_start(&rig, NULL);
    rig_receive(&rig, 2, heartbeat_at(rig_ballot(1, 2), 1, 0));
    rig_sync(&rig);
    rig_receive(&rig, 2,
                (struct consensus_message){.type = PAXOS_TRANSFER, .ballot = rig_ballot(1, 2)});
    rig_sync(&rig);
    const struct consensus_message *prepare = rig_sent(&rig, PAXOS_PREPARE, 3);
    cr_assert_not_null(prepare);
    cr_assert_eq(prepare->flags, PAXOS_HANDOVER);
    cr_assert(base_ballot_equal(prepare->other, rig_ballot(1, 2)));
    rig_fini(&rig);
}

/* ---- Rule 10. */

/* A replica that lost what it vouched for promises, accepts and confirms nothing, and never
 * stands; it still learns. */
RULE(rule_10_amnesiac_never_votes, AMNESIAC_VOTES)
{
    struct consensus_boot boot = {.amnesiac = true};
    rig_start(rig, &boot);
    rig_receive(rig, 2, prepare_at(low, 1));
    struct consensus_entry entry = rig_entry(rig, 1, low, "a");
    rig_receive(rig, 2, accept_of(&entry, 1));
    rig_sync(rig);
    rig_receive(rig, 2, heartbeat_at(low, 1, 1));
    bool counted = rig_sent(rig, PAXOS_HEARTBEAT_REPLY, 2)->flags != PAXOS_AMNESIAC;
    bool learns = rig_sent(rig, PAXOS_LEARN, 2) != NULL;
    rig_tick(rig, 10 * RIG_ELECTION_MS);
    return rig_sent(rig, PAXOS_PROMISE, 0) == NULL && rig_sent(rig, PAXOS_ACCEPTED, 0) == NULL &&
           rig_sent(rig, PAXOS_CANVASS, 0) == NULL && !counted && learns;
}

/* ---- Rule 12. */

/* Heartbeats are due at multiples of the interval, whatever group and whenever it was elected. */
Test(paxos, rule_12_heartbeats_are_due_on_one_grid)
{
    static struct rig rig;
    rig_init(&rig);
    rig.now_ms = 1007;
    rig_start(&rig, NULL);
    rig_serve(&rig);
    for (uint32_t i = 0; i < 5; i++) {
        cr_assert_eq(rig.wake_at_ms % RIG_HEARTBEAT_MS, 0);
        rig_forget(&rig);
        rig_tick(&rig, rig.wake_at_ms - rig.now_ms);
        cr_assert_not_null(rig_sent(&rig, PAXOS_HEARTBEAT, 2));
        rig_confirm(&rig, 2, rig_info(&rig).ballot, rig_sent(&rig, PAXOS_HEARTBEAT, 2)->round);
    }
    rig_fini(&rig);
}

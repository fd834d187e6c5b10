#include "paxos/consensus.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/paxos/rig.h"
#include "tests/lib/test_body.h"

static struct rig rig;

static void setup(void)
{
    rig_init(&rig);
}

static void teardown(void)
{
    rig_fini(&rig);
}

static bool valid(void)
{
    return consensus_config_check(&rig.config) == TORC_OK;
}

/* Each invariant of a configuration is checked, one broken at a time. */
TEST_BODY(consensus, config_check_finds_each_broken_invariant, setup, teardown)
{
    const struct consensus_config good = rig.config;
    cr_assert(valid());
#define BREAKS(change)                                                                             \
    rig.config.change;                                                                             \
    cr_assert_not(valid(), #change);                                                               \
    rig.config = good
    BREAKS(replica = 9);
    BREAKS(node = 99);
    BREAKS(incarnation = 0);
    BREAKS(member_count = 0);
    BREAKS(member_count = CONSENSUS_MEMBERS_MAX + 1);
    BREAKS(heartbeat_interval_ms = 0);
    BREAKS(heartbeat_interval_ms = RIG_ELECTION_MS / 3 + 1);
    BREAKS(retransmit_timeout_ms = 0);
    BREAKS(lease_ms = RIG_ELECTION_MS);
    BREAKS(clock_drift_per_mille = 1000);
    BREAKS(window_entries_max = 0);
    BREAKS(window_entries_max = CONSENSUS_WINDOW_MAX + 1);
    BREAKS(window_bytes_max = 0);
    BREAKS(message_bytes_max = 0);
    BREAKS(reads_max = 0);
#undef BREAKS
    cr_assert(valid());
}

/* Members are sorted by replica, on distinct nodes, and somebody votes. */
TEST_BODY(consensus, config_check_looks_at_members, setup, teardown)
{
    rig.members[1].replica = 1;
    cr_assert_not(valid());
    rig.members[1].replica = 2;
    rig.members[1].node = 11;
    cr_assert_not(valid());
    rig.members[1].node = 0;
    cr_assert_not(valid());
    rig.members[1].node = 12;
    rig.members[0].replica = rig.config.replica = 0;
    cr_assert_not(valid());
    rig.members[0].replica = rig.config.replica = 1;
    for (uint32_t i = 0; i < 3; i++)
        rig.members[i].voter = false;
    cr_assert_not(valid());
    rig.members[0].voter = true;
    cr_assert(valid());
}

/* A group of one chooses as soon as its own disk has it. */
TEST_BODY(consensus, a_single_voter_is_a_quorum, setup, teardown)
{
    rig.config.member_count = 1;
    rig_start(&rig, NULL);
    rig_tick(&rig, 2 * RIG_ELECTION_MS);
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).role, CONSENSUS_LEADER);
    rig_sync(&rig);
    cr_assert(rig_info(&rig).serving);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_OK);
    cr_assert_eq(rig_info(&rig).chosen, 1);
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).applied, 2);
    cr_assert_eq(rig_read(&rig, 5, CONSENSUS_READ_QUORUM), TORC_OK);
    cr_assert_eq(rig.read_count, 1);
}

/* Proposals and reads are bounded, and refused with TORC_FULL at the bound. */
TEST_BODY(consensus, windows_are_bounded, setup, teardown)
{
    rig_start(&rig, NULL);
    rig_serve(&rig);
    for (uint32_t i = 0; i < rig.config.window_entries_max; i++)
        cr_assert_eq(rig_propose(&rig, "a"), TORC_OK);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_FULL);
    for (uint32_t i = 0; i < rig.config.reads_max; i++)
        cr_assert_eq(rig_read(&rig, i + 1, CONSENSUS_READ_QUORUM), TORC_OK);
    cr_assert_eq(rig_read(&rig, 99, CONSENSUS_READ_QUORUM), TORC_FULL);
}

/* Values in flight are bounded in bytes; one that is larger than the bound passes alone. */
TEST_BODY(consensus, window_is_bounded_in_bytes, setup, teardown)
{
    rig.config.window_bytes_max = 4;
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    cr_assert_eq(rig_propose(&rig, "larger"), TORC_OK);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_FULL);
    rig_accepted(&rig, 2, ballot, 2, 2);
    rig_accepted(&rig, 3, ballot, 2, 2);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_OK);
}

/* Only a leader takes proposals, reads and transfers. */
TEST_BODY(consensus, followers_refuse, setup, teardown)
{
    rig_start(&rig, NULL);
    cr_assert_eq(rig_propose(&rig, "a"), TORC_NOT_LEADER);
    cr_assert_eq(rig_read(&rig, 1, CONSENSUS_READ_LEASE), TORC_NOT_LEADER);
    cr_assert_eq(rig_step(&rig, (struct consensus_event){.type = CONSENSUS_TRANSFER}),
                 TORC_NOT_LEADER);
}

/* What no correct peer sends is refused and changes nothing. */
TEST_BODY(consensus, malformed_messages_are_refused, setup, teardown)
{
    rig_start(&rig, NULL);
    struct consensus_message good = {
        .type = PAXOS_HEARTBEAT, .ballot = rig_ballot(1, 2), .round = 1};
    struct consensus_message bad = good;
    bad.type = 77;
    cr_assert_eq(rig_receive(&rig, 2, bad), TORC_MALFORMED);
    cr_assert_eq(rig_receive(&rig, 9, good), TORC_MALFORMED, "a stranger");
    cr_assert_eq(rig_receive(&rig, 1, good), TORC_MALFORMED, "from itself");
    cr_assert_eq(rig_receive(&rig, 3, good), TORC_MALFORMED, "somebody else's ballot");
    bad = good;
    bad.ballot.round = UINT64_MAX;
    cr_assert_eq(rig_receive(&rig, 2, bad), TORC_MALFORMED, "a ballot that nobody reaches");
    bad = good;
    bad.type = PAXOS_ACCEPT;
    cr_assert_eq(rig_receive(&rig, 2, bad), TORC_MALFORMED, "an accept of nothing");
    struct consensus_entry entries[2] = {rig_entry(&rig, 2, rig_ballot(1, 2), "b"),
                                         rig_entry(&rig, 1, rig_ballot(1, 2), "a")};
    bad.entries = entries;
    bad.entry_count = 2;
    bad.first = 1;
    bad.last = 2;
    cr_assert_eq(rig_receive(&rig, 2, bad), TORC_MALFORMED, "slots that descend");
    entries[0].kind = CONSENSUS_NOOP;
    bad.entry_count = 1;
    cr_assert_eq(rig_receive(&rig, 2, bad), TORC_MALFORMED, "a no-op with a value");
    cr_assert_eq(rig_info(&rig).leader, 0);
    cr_assert_eq(rig_receive(&rig, 2, good), TORC_OK);
}

/* Messages of an earlier life of a peer are dropped and counted. */
TEST_BODY(consensus, earlier_incarnations_are_stale, setup, teardown)
{
    rig_start(&rig, NULL);
    struct consensus_message heartbeat = {.type = PAXOS_HEARTBEAT, .round = 1, .incarnation = 5};
    heartbeat.ballot = (struct base_ballot){.round = 1, .node = 12, .incarnation = 5};
    cr_assert_eq(rig_receive(&rig, 2, heartbeat), TORC_OK);
    heartbeat.incarnation = heartbeat.ballot.incarnation = 4;
    heartbeat.ballot.round = 9;
    cr_assert_eq(rig_receive(&rig, 2, heartbeat), TORC_STALE);
    cr_assert_eq(consensus_counters(rig.machine)->stale_dropped, 1);
}

/* A follower that lags is taught from memory, then from the log, and told when neither has it. */
TEST_BODY(consensus, a_lagging_follower_is_taught, setup, teardown)
{
    rig.config.cache_bytes_max = 0;
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    struct consensus_message learn = {.type = PAXOS_LEARN, .ballot = ballot, .first = 1, .last = 1};
    cr_assert_eq(rig_receive(&rig, 3, learn), TORC_OK);
    cr_assert_eq(rig.load_first, 1);
    cr_assert_eq(rig.load_last, 1);
    struct consensus_entry entry = rig_entry(&rig, 1, ballot, NULL);
    struct consensus_event loaded = {.type = CONSENSUS_LOADED};
    loaded.u.loaded.entries = &entry;
    loaded.u.loaded.entry_count = 1;
    cr_assert_eq(rig_step(&rig, loaded), TORC_OK);
    rig_turn(&rig);
    cr_assert_eq(rig_sent_entry(&rig, PAXOS_LEARNED, 3)->slot, 1);
    struct consensus_event trimmed = {.type = CONSENSUS_TRIMMED};
    trimmed.u.trimmed_slot = 1;
    cr_assert_eq(rig_step(&rig, trimmed), TORC_OK);
    cr_assert_eq(rig_receive(&rig, 3, learn), TORC_OK);
    cr_assert_eq(rig_sent(&rig, PAXOS_LEARNED, 3)->flags, PAXOS_GONE);
}

/* A replica that is told that nobody has what it needs says so until it has it. */
TEST_BODY(consensus, behind_compaction_is_told, setup, teardown)
{
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_ballot(1, 2);
    rig_receive(&rig, 2,
                (struct consensus_message){
                    .type = PAXOS_HEARTBEAT, .ballot = ballot, .round = 1, .chosen = 9});
    rig_receive(
        &rig, 2,
        (struct consensus_message){
            .type = PAXOS_LEARNED, .ballot = ballot, .first = 1, .last = 1, .flags = PAXOS_GONE});
    cr_assert(rig_info(&rig).behind_compaction);
}

/* The floor is what every voter holds durably, and travels with heartbeats. */
TEST_BODY(consensus, floor_is_the_least_durable, setup, teardown)
{
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    rig_propose(&rig, "a");
    rig_sync(&rig);
    rig_accepted(&rig, 2, ballot, 2, 2);
    rig_propose(&rig, "b"); /* Its batch carries the mark. */
    rig_sync(&rig);
    cr_assert_eq(rig_info(&rig).durable, 2);
    struct consensus_message reply = {.type = PAXOS_HEARTBEAT_REPLY, .ballot = ballot};
    reply.durable = 1;
    rig_receive(&rig, 2, reply);
    reply.durable = 2;
    rig_receive(&rig, 3, reply);
    rig_tick(&rig, RIG_HEARTBEAT_MS);
    cr_assert_eq(rig_sent(&rig, PAXOS_HEARTBEAT, 2)->floor, 1);
    struct consensus_progress progress[CONSENSUS_MEMBERS_MAX];
    cr_assert_eq(consensus_progress(rig.machine, progress), 3);
    cr_assert_eq(progress[2].durable, 2);
}

/* Text of a ready is cut at the buffer's size, and the length that it would need is told. */
TEST_BODY(consensus, format_says_how_much_it_needs, setup, teardown)
{
    rig_start(&rig, NULL);
    rig.now_ms += 2 * RIG_ELECTION_MS;
    cr_assert_eq(rig_step(&rig, (struct consensus_event){.type = CONSENSUS_TICK}), TORC_OK);
    struct consensus_ready ready;
    consensus_ready(rig.machine, &ready);
    char whole[512], part[20];
    size_t needed = consensus_format_ready(&paxos_type, &ready, whole, sizeof(whole));
    cr_assert_str_eq(whole, "send CANVASS to=2 ballot=1.11.1 first=1 last=1 round=1\n"
                            "send CANVASS to=3 ballot=1.11.1 first=1 last=1 round=1\n");
    cr_assert_eq(needed, strlen(whole));
    cr_assert_eq(consensus_format_ready(&paxos_type, &ready, part, sizeof(part)), needed);
    cr_assert_eq(strncmp(part, whole, sizeof(part) - 1), 0);
    cr_assert_eq(consensus_format_ready(&paxos_type, &ready, NULL, 0), needed);
}

/* Every kind of action has a line of its own; a value is shown by its first bytes. */
TEST_BODY(consensus, format_shows_each_action, setup, teardown)
{
    struct consensus_apply applies[] = {
        {.entry = rig_entry(&rig, 1, rig_ballot(1, 2), NULL)},
        {.entry = rig_entry(&rig, 2, rig_ballot(1, 2), "a\n\x7f"), .effective = true},
        {.entry = rig_entry(&rig, 3, rig_ballot(1, 2), "more than sixteen bytes")},
    };
    struct consensus_read reads[] = {{.id = 7, .status = TORC_OK, .by_lease = true},
                                     {.id = 8, .status = TORC_NOT_LEADER}};
    struct consensus_ready ready = {.apply = applies,
                                    .apply_count = 3,
                                    .reads = reads,
                                    .read_count = 2,
                                    .load_first = 4,
                                    .load_last = 5};
    char text[1024];
    consensus_format_ready(&paxos_type, &ready, text, sizeof(text));
    cr_assert_str_eq(text, "apply slot=1 ballot=1.12.1 noop\n"
                           "apply slot=2 ballot=1.12.1 \"a\\x0a\\x7f\"\n"
                           "apply slot=3 ballot=1.12.1 \"more than sixtee...\" void\n"
                           "read id=7 TORC_OK lease\n"
                           "read id=8 TORC_NOT_LEADER\n"
                           "load first=4 last=5\n");
    rig_start(&rig, NULL);
}

/* In a steady state a proposal allocates nothing but its own value. */
TEST_BODY(consensus, steady_state_allocates_nothing, setup, teardown)
{
    rig.config.cache_bytes_max = 1000;
    rig_start(&rig, NULL);
    struct base_ballot ballot = rig_serve(&rig);
    uint64_t calls = 0;
    for (uint32_t i = 0; i < 200; i++) {
        rig_forget(&rig);
        struct base_buffer *value = base_buffer_copy(&rig.pool, base_bytes_text("a value"));
        struct consensus_event event = {.type = CONSENSUS_PROPOSE};
        event.u.propose = value;
        if (i == 100)
            calls = rig.counting.call_count;
        cr_assert_eq(rig_step(&rig, event), TORC_OK);
        rig_turn(&rig);
        rig_sync(&rig);
        rig_accepted(&rig, 2, ballot, rig_info(&rig).last, rig_info(&rig).last);
        base_buffer_unref(value);
        cr_assert_eq(rig_info(&rig).applied, i + 2);
    }
    /* Per round: one value made, one that left the cache freed. */
    cr_assert_leq(rig.counting.call_count - calls, 2 * 100);
}

/* A mark counts up to the first slot of which the log has no record. */
TEST_BODY(consensus, a_mark_above_a_hole_counts_up_to_it, setup, teardown)
{
    struct consensus_entry entries[] = {
        rig_entry(&rig, 3, rig_ballot(1, 2), "a"), rig_entry(&rig, 4, rig_ballot(1, 2), "b"),
        rig_entry(&rig, 6, rig_ballot(4, 2), "c"), rig_entry(&rig, 7, rig_ballot(3, 2), "d")};
    struct consensus_boot boot = {.promised = rig_ballot(2, 2),
                                  .applied = 2,
                                  .chosen = 7,
                                  .entries = entries,
                                  .entry_count = 4};
    rig_start(&rig, &boot);
    cr_assert_eq(rig_info(&rig).chosen, 4);
    cr_assert_eq(rig_info(&rig).last, 7);
    /* The accepts above the hole promise as they always did. */
    struct consensus_message prepare = {
        .type = PAXOS_PREPARE, .ballot = rig_ballot(3, 3), .first = 5, .last = 5};
    cr_assert_eq(rig_receive(&rig, 3, prepare), TORC_OK);
    cr_assert_eq(rig_sent(&rig, PAXOS_REFUSED, 3)->other.round, 4);
    prepare.ballot = rig_ballot(5, 3);
    cr_assert_eq(rig_receive(&rig, 3, prepare), TORC_OK);
    rig_sync(&rig);
    const struct consensus_message *promise = rig_sent(&rig, PAXOS_PROMISE, 3);
    cr_assert_eq(promise->entry_count, 2);
    cr_assert_eq(promise->chosen, 4);
    cr_assert_eq(rig_sent_entry(&rig, PAXOS_PROMISE, 3)->slot, 6);
}

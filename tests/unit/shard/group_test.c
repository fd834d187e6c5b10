#include "shard/group.h"

#include <criterion/criterion.h>
#include <string.h>

#include "store/sim_kv.h"
#include "tests/lib/group_rig.h"

/* A state that keeps what was applied. */
struct notes {
    uint64_t applied, shown; /* Slots; shown: the last whose batch was written. */
    uint64_t values, reads;
    uint64_t reads_failed;
    uint64_t bad_slot; /* This one does not decode. */
};

static enum torc_status notes_apply(void *state, const struct shard_apply *apply,
                                    struct store_batch *batch)
{
    struct notes *notes = state;
    if (apply->slot == notes->bad_slot)
        return TORC_MALFORMED;
    cr_assert_eq(apply->slot, notes->applied + 1);
    notes->applied = apply->slot;
    notes->values += apply->effective;
    store_batch_put(batch, base_bytes_text("slot"), base_bytes_of(&apply->slot, sizeof(uint64_t)));
    return TORC_OK;
}

static void notes_applied(void *state, struct shard_turn *turn)
{
    struct notes *notes = state;
    (void)turn;
    notes->shown = notes->applied;
}

static void notes_read(void *state, const struct consensus_read *read, struct shard_turn *turn)
{
    struct notes *notes = state;
    (void)turn;
    if (read->status == TORC_OK)
        notes->reads++;
    else
        notes->reads_failed++;
}

static const struct shard_state_type notes_type = {
    .apply = notes_apply, .applied = notes_applied, .read = notes_read};

static void begin(struct rig *rig, struct notes *notes)
{
    *notes = (struct notes){0};
    rig_init(rig, 1 << 20, 0 /* lease */);
    rig_start(rig, RIG_GROUP, &notes_type, notes);
    rig_lead(rig);
}

static void end(struct rig *rig)
{
    rig_stop(rig);
    rig_fini(rig);
}

static enum torc_status propose(struct rig *rig, const char *text)
{
    struct base_buffer *value = base_buffer_copy(&rig->pool, base_bytes_text(text));
    enum torc_status status = shard_group_propose(rig->group, value, rig->now_ms);
    base_buffer_unref(value);
    return status;
}

/* Entries that are chosen while the store is busy wait in order behind those that it holds up. */
Test(group, a_busy_store_keeps_the_order)
{
    struct rig rig;
    struct notes notes;
    begin(&rig, &notes);
    uint64_t before = notes.values;
    static char text[20001]; /* A few of them are as much as is applied at once. */
    memset(text, 'x', sizeof(text) - 1);
    store_sim_kv_faults_set(rig.kv, (struct store_sim_kv_faults){.write_busy_ppm = 1000000});
    for (int i = 0; i < 8; i++)
        cr_assert_eq(propose(&rig, text), TORC_OK);
    rig_run(&rig, 10);
    cr_assert(shard_group_is_stalled(rig.group));
    cr_assert_lt(notes.values, before + 8);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(propose(&rig, "value"), TORC_OK);
        rig_run(&rig, 10);
    }
    store_sim_kv_faults_set(rig.kv, (struct store_sim_kv_faults){0});
    rig_run(&rig, 100);
    cr_assert_eq(notes.values, before + 16); /* notes_apply saw to the order. */
    cr_assert_eq(notes.shown, notes.applied);
    end(&rig);
}

/* What is chosen is applied in order, once, and marked in the log behind its records. */
Test(group, chosen_entries_are_applied_in_order)
{
    struct rig rig;
    struct notes notes;
    begin(&rig, &notes);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(propose(&rig, "value"), TORC_OK);
        rig_run(&rig, 5);
    }
    cr_assert_eq(notes.values, 100);
    cr_assert_eq(notes.shown, notes.applied);
    cr_assert_geq(rig.mark, 99);
    struct store_value value;
    cr_assert_eq(store_kv_get(rig.kv, NULL, base_bytes_text("slot"), &value), TORC_OK);
    cr_assert_arr_eq(value.bytes.data, &notes.applied, sizeof(uint64_t));
    store_value_release(&value);
    end(&rig);
}

/* A full window refuses, and is free again when its entries are chosen. */
Test(group, a_full_window_refuses)
{
    struct rig rig;
    struct notes notes;
    begin(&rig, &notes);
    for (int i = 0; i < RIG_WINDOW; i++)
        cr_assert_eq(propose(&rig, "value"), TORC_OK);
    cr_assert_eq(propose(&rig, "value"), TORC_FULL);
    rig_run(&rig, 5);
    cr_assert_eq(propose(&rig, "value"), TORC_OK);
    end(&rig);
}

/* A store that stalls pauses application and shows nothing; when it takes writes again, all of it
 * is there once. */
Test(group, a_stalled_store_pauses_and_resumes)
{
    struct rig rig;
    struct notes notes;
    begin(&rig, &notes);
    uint64_t before = notes.values;
    store_sim_kv_faults_set(rig.kv, (struct store_sim_kv_faults){.write_busy_ppm = 1000000});
    cr_assert_eq(propose(&rig, "one"), TORC_OK);
    rig_run(&rig, 5);
    cr_assert_eq(propose(&rig, "two"), TORC_OK);
    rig_run(&rig, 20);
    cr_assert(shard_group_is_stalled(rig.group));
    cr_assert_lt(notes.shown, notes.applied);
    cr_assert_leq(shard_group_wake_at(rig.group), rig.now_ms + 5);
    store_sim_kv_faults_set(rig.kv, (struct store_sim_kv_faults){0});
    rig_run(&rig, 10);
    cr_assert_not(shard_group_is_stalled(rig.group));
    cr_assert_eq(notes.values, before + 2);
    cr_assert_eq(notes.shown, notes.applied);
    end(&rig);
}

/* An entry that does not decode stops this group for good, not the process: it leads nobody, takes
 * nothing and wants no more turns. */
Test(group, an_entry_that_does_not_decode_stops_it)
{
    struct rig rig;
    struct notes notes;
    begin(&rig, &notes);
    notes.bad_slot = notes.applied + 1;
    cr_assert_eq(propose(&rig, "bad"), TORC_OK);
    rig_run(&rig, 5);
    cr_assert_eq(shard_group_trouble(rig.group), TORC_MALFORMED);
    cr_assert_eq(propose(&rig, "more"), TORC_DAMAGED);
    cr_assert_eq(shard_group_read(rig.group, 1, CONSENSUS_READ_QUORUM, rig.now_ms), TORC_DAMAGED);
    cr_assert_eq(shard_group_wake_at(rig.group), UINT64_MAX);
    struct consensus_info info;
    shard_group_info(rig.group, &info);
    cr_assert_neq(info.role, CONSENSUS_LEADER);
    cr_assert_eq(info.leader, 0);
    rig_run(&rig, 5);
    end(&rig);
}

/* A group that has stopped covers no read by its lease, though the lease still runs. */
Test(group, a_stopped_group_has_no_lease)
{
    struct rig rig;
    struct notes notes = {0};
    rig_init(&rig, 1 << 20, 150 /* lease */);
    rig_start(&rig, RIG_GROUP, &notes_type, &notes);
    rig_lead(&rig);
    rig_run(&rig, 200);
    cr_assert(shard_group_lease_holds(rig.group, rig.now_ms));
    notes.bad_slot = notes.applied + 1;
    cr_assert_eq(propose(&rig, "bad"), TORC_OK);
    while (shard_group_trouble(rig.group) == TORC_OK) {
        cr_assert(shard_group_lease_holds(rig.group, rig.now_ms));
        rig_run(&rig, 1);
    }
    cr_assert_not(shard_group_lease_holds(rig.group, rig.now_ms));
    end(&rig);
}

/* Reads are safe once a majority has confirmed the leader, and fail when it leads no more. */
Test(group, reads_end_either_way)
{
    struct rig rig;
    struct notes notes;
    begin(&rig, &notes);
    cr_assert_eq(shard_group_read(rig.group, 1, CONSENSUS_READ_QUORUM, rig.now_ms), TORC_OK);
    rig_run(&rig, 5);
    cr_assert_eq(notes.reads, 1);
    rig.cut = true;
    cr_assert_eq(shard_group_read(rig.group, 2, CONSENSUS_READ_QUORUM, rig.now_ms), TORC_OK);
    rig_depose(&rig);
    cr_assert_eq(notes.reads, 1);
    cr_assert_eq(notes.reads_failed, 1);
    end(&rig);
}

/* The timing is checked before there is a group. */
Test(group, a_bad_timing_is_refused)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct consensus_member self = {.replica = 1, .node = 1, .voter = true};
    struct shard_group_config config = {
        .id = 1, .replica = 1, .node = 1, .incarnation = 1, .members = &self, .member_count = 1};
    struct consensus_boot boot = {0};
    struct shard_group *group = NULL;
    cr_assert_eq(shard_group_new(&config, &boot, NULL, &notes_type, NULL, allocator, 1, &group),
                 TORC_INVALID);
    cr_assert_null(group);
    counting_fini(&counting);
}

/* Nodes of replicas, and the voters among them. */
Test(group, members_are_known)
{
    struct rig rig;
    struct notes notes;
    begin(&rig, &notes);
    uint32_t nodes[CONSENSUS_MEMBERS_MAX];
    cr_assert_eq(shard_group_voters(rig.group, nodes), 3);
    cr_assert_eq(nodes[2], 3);
    cr_assert_eq(shard_group_node_of(rig.group, 2), 2);
    cr_assert_eq(shard_group_node_of(rig.group, 99), 0);
    cr_assert_eq(shard_group_id(rig.group), RIG_GROUP);
    cr_assert_eq(shard_group_replica(rig.group), 1);
    end(&rig);
}

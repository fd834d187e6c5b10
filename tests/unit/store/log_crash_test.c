/*
 * The log against every crash and every flipped bit (DESIGN section 5).
 *
 * A scripted workload, and random ones, run on a simulated disk. The power goes at every write,
 * sync and change of a name; each subset of what was not synced lands (all of them while they are
 * few, a sample otherwise); recovery is itself cut at each of its operations. Each time the log
 * must say at least what was synced, whole batches only, and never "damaged". Then every bit of the
 * finished log is flipped in turn: it must say all of it, or "damaged", never less.
 *
 *   log_crash_test                 no violation may be found
 *   log_crash_test --expect=crash  linked with a log that takes old blocks for new, or does not
 * check a log_crash_test --expect=flip   block's hash: that part must find violations, else it
 * would not notice a broken log either
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "tests/lib/log_disk.h"

enum {
    BLOCK_SIZE = 128,
    SEGMENT_BLOCKS = 16,
    BATCH_SIZE_MAX = 900,
    STEPS_MAX = 64,
    RECORDS_MAX = 12,
    HISTORY_MAX = 256,
    SUBSET_BITS_MAX = 8,  /* Up to so many unsynced things all subsets are tried. */
    SUBSET_SAMPLES = 160, /* Otherwise so many random ones, and none, and all. */
    VIOLATIONS_SHOWN = 5,
    RANDOM_WORKLOADS = 24,
    RANDOM_STEPS = 28,
};

/* --- The workload --- */

enum step_kind { STEP_APPEND, STEP_TRIM, STEP_IDLE, STEP_PREPARE };

struct step {
    enum step_kind kind;
    struct store_record records[RECORDS_MAX];
    size_t count;
    uint32_t group; /* STEP_TRIM */
    uint64_t slot;
};

struct workload {
    struct step steps[STEPS_MAX];
    size_t count;
    uint8_t payload[2048];
};

static struct step *add_step(struct workload *work, enum step_kind kind)
{
    TORC_ASSERT(work->count < STEPS_MAX);
    struct step *step = &work->steps[work->count++];
    *step = (struct step){.kind = kind};
    return step;
}

static void add_record(struct step *step, struct store_record record)
{
    TORC_ASSERT(step->count < RECORDS_MAX);
    step->records[step->count++] = record;
}

static struct base_bytes slice(struct workload *work, size_t at, size_t size)
{
    return base_bytes_of(work->payload + at, size);
}

static void add_trim(struct workload *work, uint32_t group, uint64_t slot)
{
    struct step *step = add_step(work, STEP_TRIM);
    step->group = group;
    step->slot = slot;
}

/* Group 0 moves on and is trimmed; group 1 is stuck: its entries must be copied forward; group 2 is
 * dropped and comes back under its id's successor; batches of one block, of several, and of more
 * than one batch holds. */
static void make_workload(struct workload *work)
{
    memset(work, 0, sizeof *work);
    struct base_prng prng = base_prng_seeded(42);
    for (size_t i = 0; i < sizeof work->payload; i++)
        work->payload[i] = (uint8_t)base_prng_next(&prng);
    struct step *step = add_step(work, STEP_APPEND);
    for (uint32_t group = 0; group < 3; group++)
        add_record(step, log_record_replica(group));
    step->records[2].payload = slice(work, 5, 30);
    step = add_step(work, STEP_APPEND);
    add_record(step, log_record_promise(0, 1));
    add_record(step, log_record_promise(2, 9));
    step = add_step(work, STEP_APPEND);
    for (uint64_t slot = 1; slot <= 3; slot++)
        add_record(step, log_record_entry(1, slot, 4, slice(work, slot * 10, 60 * (size_t)slot)));
    add_step(work, STEP_IDLE);
    for (uint64_t slot = 1; slot <= 30; slot++) {
        step = add_step(work, STEP_APPEND);
        add_record(step, log_record_entry(0, slot, 1 + slot / 8,
                                          slice(work, slot * 7, (size_t)(slot * 37) % 400)));
        if (slot > 1)
            add_record(step, log_record_mark(0, slot - 1));
        if (slot == 6 || slot == 20)
            add_step(work, STEP_PREPARE);
        if (slot == 9)
            add_record(step, log_record_drop(2));
        if (slot == 12) {
            /* More than one batch holds: three of them. */
            step = add_step(work, STEP_APPEND);
            for (uint64_t more = 4; more < 9; more++)
                add_record(step, log_record_learned(1, more, slice(work, more, 400)));
            add_record(step, log_record_mark(1, 8));
        }
        if (slot == 15) {
            step = add_step(work, STEP_APPEND);
            struct store_record replica = log_record_replica(2);
            replica.replica = 900;
            add_record(step, replica);
        }
        if (slot % 5 == 0)
            add_trim(work, 0, slot - 2);
        if (slot == 17)
            add_trim(work, 1, 5);
        if (slot == 22)
            add_step(work, STEP_IDLE);
    }
    /* Past the superblock's position when the script ends: of several blocks, and of one. */
    step = add_step(work, STEP_APPEND);
    add_record(step, log_record_entry(0, 31, 6, slice(work, 3, 300)));
    step = add_step(work, STEP_APPEND);
    add_record(step, log_record_promise(1, 8));
}

/* The next records of a group, as its replica could write them: new slots mostly, old ones again at
 * a higher ballot, a new replica now and then. */
struct random_group {
    uint64_t replica;
    uint64_t round;
    uint64_t slot;
    uint64_t trimmed;
};

static void add_random_record(struct workload *work, struct step *step, struct base_prng *prng,
                              uint32_t number, struct random_group *group)
{
    size_t size = (size_t)base_prng_range(prng, 0, base_prng_chance(prng, 1, 4) ? 700 : 90);
    struct base_bytes bytes = slice(work, (size_t)base_prng_range(prng, 0, 1000), size);
    struct store_record record = log_record_replica(number);
    uint64_t kind = base_prng_range(prng, 0, 11);
    if (group->replica == 0) {
        group->replica = 100 + work->count * 10 + number;
    } else if (kind == 0) {
        record = log_record_promise(number, ++group->round);
    } else if (kind == 1 && group->slot > 0) {
        record = log_record_mark(number, base_prng_range(prng, 1, group->slot));
    } else if (kind == 2 && group->slot > group->trimmed) {
        uint64_t slot = base_prng_range(prng, group->trimmed + 1, group->slot);
        record = log_record_entry(number, slot, ++group->round, bytes);
    } else if (kind == 3 && base_prng_chance(prng, 1, 2)) {
        record = log_record_drop(number);
    } else if (group->slot + 2 < LOG_MODEL_SLOTS) {
        group->slot += base_prng_range(prng, 1, 2); /* Holes are legal. */
        record = base_prng_chance(prng, 1, 5)
                     ? log_record_learned(number, group->slot, bytes)
                     : log_record_entry(number, group->slot, group->round + 1, bytes);
    }
    record.replica = group->replica;
    if (record.kind == STORE_RECORD_DROP)
        group->replica = 0;
    add_record(step, record);
}

static void make_random_workload(struct workload *work, uint64_t seed)
{
    struct base_prng prng = base_prng_seeded(seed);
    struct random_group groups[LOG_MODEL_GROUPS] = {0};
    memset(work, 0, sizeof *work);
    for (size_t i = 0; i < sizeof work->payload; i++)
        work->payload[i] = (uint8_t)base_prng_next(&prng);
    while (work->count < RANDOM_STEPS) {
        uint32_t number = (uint32_t)base_prng_range(&prng, 0, 2);
        struct random_group *group = &groups[number];
        uint64_t kind = base_prng_range(&prng, 0, 9);
        if (kind == 0) {
            add_step(work, STEP_IDLE);
        } else if (kind == 1) {
            add_step(work, STEP_PREPARE);
        } else if (kind <= 3 && group->slot > group->trimmed) {
            /* Slots of a group are never used again by a later replica of it: the model knows trims
             * by group alone. */
            group->trimmed = base_prng_range(&prng, group->trimmed + 1, group->slot);
            add_trim(work, number, group->trimmed);
        } else {
            struct step *step = add_step(work, STEP_APPEND);
            uint64_t count = base_prng_range(&prng, 1, 6);
            for (uint64_t i = 0; i < count; i++) {
                number = (uint32_t)base_prng_range(&prng, 0, 2);
                add_random_record(work, step, &prng, number, &groups[number]);
            }
        }
    }
}

/* What the log says after each batch, and how far a run came. */
struct history {
    struct log_model states[HISTORY_MAX];
    size_t count;  /* Batches given to append, and 1. */
    size_t synced; /* Index of the last state that append vouched for. */
    uint64_t trimmed[LOG_MODEL_GROUPS];
};

static void history_append(struct history *history, const struct step *step)
{
    uint64_t length = 0;
    struct log_model state = history->states[history->count - 1];
    for (size_t i = 0; i < step->count; i++) {
        /* As append splits. */
        if (length + store_record_size(&step->records[i]) > BATCH_SIZE_MAX) {
            history->states[history->count++] = state;
            length = 0;
        }
        length += store_record_size(&step->records[i]);
        log_model_apply(&state, &step->records[i]);
    }
    TORC_ASSERT(history->count < HISTORY_MAX);
    history->states[history->count++] = state;
}

static enum torc_status run_step(struct log_disk *disk, const struct step *step,
                                 struct history *history)
{
    uint64_t batch;
    bool done;
    enum torc_status status = TORC_OK;
    switch (step->kind) {
    case STEP_APPEND:
        history_append(history, step);
        status = store_log_append(disk->log, step->records, step->count, &batch);
        if (status == TORC_OK)
            history->synced = history->count - 1;
        break;
    case STEP_TRIM:
        history->trimmed[step->group] = step->slot;
        status = store_log_trim(disk->log, step->group, step->slot);
        break;
    case STEP_IDLE:
        status = store_log_idle(disk->log);
        break;
    case STEP_PREPARE:
        status = store_log_prepare(disk->log, &done);
        break;
    }
    if (status == TORC_OK)
        store_log_check(disk->log);
    return status;
}

/* Runs until the disk stops; leaves the log closed. */
static void run_workload(struct log_disk *disk, const struct workload *work,
                         struct history *history)
{
    memset(history, 0, sizeof *history);
    history->count = 1;
    enum torc_status status = log_disk_open(disk);
    for (size_t i = 0; status == TORC_OK && i < work->count; i++)
        status = run_step(disk, &work->steps[i], history);
    log_disk_close(disk);
    memcpy(disk->flushed, history->trimmed, sizeof disk->flushed);
}

/* --- Checking --- */

struct tally {
    uint64_t recoveries;
    uint64_t group_damages; /* Flips that cost one record of one group. */
    uint64_t log_damages;   /* Flips after which nothing is believed. */
    uint64_t violations;
};

static void violation(struct tally *tally, const char *what, uint64_t a, uint64_t b)
{
    if (tally->violations++ < VIOLATIONS_SHOWN)
        printf("violation: %s (%llu, %llu)\n", what, (unsigned long long)a, (unsigned long long)b);
}

/* The state of the history that the opened log says, at or after `from`; 0 is a violation. */
static size_t find_state(const struct log_disk *disk, const struct history *history, size_t from)
{
    struct log_model seen = disk->model;
    log_model_trim(&seen, history->trimmed);
    for (size_t i = from; i < history->count; i++) {
        struct log_model state = history->states[i];
        log_model_trim(&state, history->trimmed);
        if (log_model_equal(&seen, &state))
            return i + 1;
    }
    return 0;
}

/* Recovers and compares; the log stays open when it could be. Returns the state's index, or `from`.
 */
static size_t recover_and_check(struct log_disk *disk, const struct history *history, size_t from,
                                uint64_t at, struct tally *tally)
{
    tally->recoveries++;
    enum torc_status status = log_disk_open(disk);
    if (status != TORC_OK || disk->damaged_count > 0) {
        violation(tally, status == TORC_OK ? "a group is damaged" : torc_status_name(status), at,
                  disk->damage.block);
        return from;
    }
    size_t found = find_state(disk, history, from);
    if (found == 0) {
        violation(tally, "less than what was synced, or part of a batch", at, from);
        return from;
    }
    return found - 1;
}

static enum store_sim_fate fate_lost(void *context)
{
    (void)context;
    return STORE_SIM_LOST;
}

static enum store_sim_fate fate_of_mask(void *context)
{
    uint64_t *mask = context;
    enum store_sim_fate fate = (*mask & 1) != 0 ? STORE_SIM_KEPT : STORE_SIM_LOST;
    *mask >>= 1;
    return fate;
}

/* What is appended after a recovery stays, too, and what it said with it. */
static void check_append_stays(struct log_disk *disk, uint64_t at, struct tally *tally)
{
    struct log_model before = disk->model;
    const struct store_record records[] = {log_record_replica(3), log_record_promise(3, 77)};
    log_disk_append(disk, records, 2);
    log_disk_close(disk);
    store_sim_device_power_loss(disk->sim, fate_lost, NULL);
    tally->recoveries++;
    log_model_apply(&before, &records[0]);
    log_model_apply(&before, &records[1]);
    if (log_disk_open(disk) != TORC_OK || !log_model_equal(&before, &disk->model))
        violation(tally, "what was appended after recovery is not there", at, 0);
}

/* What the log said once may not be taken back when the power goes right after recovery. */
static void check_stays(struct log_disk *disk, const struct history *history, size_t found,
                        uint64_t at, struct tally *tally)
{
    log_disk_close(disk);
    store_sim_device_power_loss(disk->sim, fate_lost, NULL);
    size_t again = recover_and_check(disk, history, found, at, tally);
    if (disk->log == NULL)
        return;
    if (again != found)
        violation(tally, "recovery said more the second time", again, found);
    check_append_stays(disk, at, tally);
}

/* Recovery is cut at each of its own operations, with a random subset landing, then done again. */
static void check_cut_recovery(const struct log_disk *crashed, const struct history *history,
                               uint64_t at, struct base_prng *prng, struct tally *tally)
{
    for (uint64_t cut = 0;; cut++) {
        struct log_disk disk;
        log_disk_clone(&disk, crashed);
        store_sim_device_inject(disk.sim, STORE_SIM_STOP, cut);
        enum torc_status status = log_disk_open(&disk);
        log_disk_close(&disk);
        if (status != TORC_OK) {
            store_sim_device_power_loss(disk.sim, store_sim_fate_random, prng);
            recover_and_check(&disk, history, history->synced, at, tally);
        }
        log_disk_fini(&disk);
        if (status != TORC_IO)
            return;
    }
}

static void check_subset(const struct log_disk *stopped, const struct history *history,
                         uint64_t mask, bool cut, uint64_t at, struct base_prng *prng,
                         struct tally *tally)
{
    struct log_disk disk;
    log_disk_clone(&disk, stopped);
    store_sim_device_power_loss(disk.sim, fate_of_mask, &mask);
    if (cut)
        check_cut_recovery(&disk, history, at, prng, tally);
    size_t found = recover_and_check(&disk, history, history->synced, at, tally);
    if (disk.log != NULL)
        check_stays(&disk, history, found, at, tally);
    log_disk_fini(&disk);
}

/* The process alone died: recovery reads the cache, and must not trust it. */
static void check_process_crash(const struct log_disk *stopped, const struct history *history,
                                uint64_t at, struct tally *tally)
{
    struct log_disk disk;
    log_disk_clone(&disk, stopped);
    size_t found = recover_and_check(&disk, history, history->synced, at, tally);
    if (disk.log != NULL)
        check_stays(&disk, history, found, at, tally);
    log_disk_fini(&disk);
    log_disk_clone(&disk, stopped);
    recover_and_check(&disk, history, history->synced, at, tally);
    if (disk.log != NULL)
        check_append_stays(&disk, at, tally);
    log_disk_fini(&disk);
}

static void check_crash_at(const struct log_disk *fresh, const struct workload *work, uint64_t at,
                           struct history *history, struct tally *tally)
{
    struct log_disk disk;
    struct base_prng prng = base_prng_seeded(at + 1);
    log_disk_clone(&disk, fresh);
    store_sim_device_inject(disk.sim, STORE_SIM_STOP, at);
    run_workload(&disk, work, history);
    size_t pending = store_sim_device_pending(disk.sim);
    if (pending <= SUBSET_BITS_MAX) {
        for (uint64_t mask = 0; mask < 1ull << pending; mask++)
            check_subset(&disk, history, mask, mask % 5 == 0, at, &prng, tally);
    } else {
        for (unsigned i = 0; i < SUBSET_SAMPLES; i++) {
            uint64_t mask = i == 0 ? 0 : i == 1 ? UINT64_MAX : base_prng_next(&prng);
            check_subset(&disk, history, mask, i < 4, at, &prng, tally);
        }
    }
    check_process_crash(&disk, history, at, tally);
    log_disk_fini(&disk);
}

/* --- The two parts --- */

static struct tally crash_everywhere(const struct log_disk *fresh, const struct workload *work,
                                     struct history *history)
{
    struct tally tally = {0};
    struct log_disk disk;
    struct store_sim_counters counters;
    log_disk_clone(&disk, fresh);
    run_workload(&disk, work, history);
    store_sim_device_counters(disk.sim, &counters);
    log_disk_fini(&disk);
    for (uint64_t at = 0; at < counters.operations; at++)
        check_crash_at(fresh, work, at, history, &tally);
    printf("crash: %llu operations cut, %llu recoveries, %llu violations\n",
           (unsigned long long)counters.operations, (unsigned long long)tally.recoveries,
           (unsigned long long)tally.violations);
    return tally;
}

/* After the flip the log says all of it, or where it is damaged: then the rest is still all there.
 */
static void check_flip(const struct log_disk *whole, const struct history *history,
                       uint64_t segment, uint64_t bit, struct tally *tally)
{
    struct log_disk disk;
    log_disk_clone(&disk, whole);
    enum torc_status flipped = store_sim_device_flip(disk.sim, segment, bit);
    TORC_ASSERT(flipped == TORC_OK);
    tally->recoveries++;
    enum torc_status status = log_disk_open(&disk);
    struct log_model expected = history->states[history->count - 1];
    tally->log_damages += status == TORC_DAMAGED;
    tally->group_damages += disk.damaged_count > 0;
    for (int again = 0; status == TORC_OK && again < 2; again++) {
        if (disk.damaged_count > 0) {
            /* One group's loss: that record and nothing else, and not forgotten by reopening. */
            struct log_model_group *group = &expected.groups[disk.damaged_group];
            memset(&group->slots[disk.damaged_slot], 0, sizeof group->slots[0]);
            memset(&disk.model.groups[disk.damaged_group].slots[disk.damaged_slot], 0,
                   sizeof group->slots[0]);
        }
        uint64_t damaged = disk.damaged_count;
        /* A damaged entry says no more at which ballot it was: that replica does not vote again. */
        for (size_t g = 0; damaged > 0 && g < LOG_MODEL_GROUPS; g++)
            if (g == disk.damaged_group)
                disk.model.groups[g].promise = expected.groups[g].promise;
        log_model_trim(&disk.model, history->trimmed);
        log_model_trim(&expected, history->trimmed);
        if (damaged > 1 || !log_model_equal(&disk.model, &expected))
            violation(tally, "a flipped bit made the log shorter", segment, bit);
        log_disk_close(&disk);
        status = log_disk_open(&disk);
        if (status == TORC_OK && disk.damaged_count != damaged)
            violation(tally, "damage forgotten by reopening", segment, bit);
    }
    if (status != TORC_OK && status != TORC_DAMAGED)
        violation(tally, torc_status_name(status), segment, bit);
    log_disk_fini(&disk);
}

static void check_flip_superblock(const struct log_disk *whole, const struct history *history,
                                  unsigned copy, uint32_t bit, struct tally *tally)
{
    struct log_disk disk;
    log_disk_clone(&disk, whole);
    enum torc_status flipped = store_sim_device_flip_superblock(disk.sim, copy, bit);
    TORC_ASSERT(flipped == TORC_OK);
    recover_and_check(&disk, history, history->count - 1, bit, tally);
    log_disk_fini(&disk);
}

static struct tally flip_everywhere(const struct log_disk *fresh, const struct workload *work,
                                    struct history *history, bool idle)
{
    struct tally tally = {0};
    struct log_disk disk;
    log_disk_clone(&disk, fresh);
    run_workload(&disk, work, history);
    if (idle) {
        enum torc_status status = log_disk_open(&disk);
        TORC_ASSERT(status == TORC_OK);
        status = store_log_idle(disk.log);
        TORC_ASSERT(status == TORC_OK);
        log_disk_close(&disk);
    }
    uint64_t segment = 0;
    uint64_t size;
    while (disk.device.next(disk.sim, segment, &segment, &size) == TORC_OK)
        for (uint64_t byte = 0; byte < size; byte++)
            check_flip(&disk, history, segment, byte * 8 + byte % 8, &tally);
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++)
        for (uint32_t byte = 0; byte < STORE_SUPERBLOCK_SIZE; byte++)
            check_flip_superblock(&disk, history, copy, byte * 8 + byte % 8, &tally);
    log_disk_fini(&disk);
    printf("flip: %llu bits, %llu damaged a group, %llu the log, %llu violations\n",
           (unsigned long long)tally.recoveries, (unsigned long long)tally.group_damages,
           (unsigned long long)tally.log_damages, (unsigned long long)tally.violations);
    return tally;
}

int main(int argc, char **argv)
{
    struct workload *work = calloc(1, sizeof *work);
    struct history *history = calloc(1, sizeof *history);
    TORC_ASSERT(work != NULL && history != NULL);
    make_workload(work);
    struct log_disk fresh;
    log_disk_init(&fresh, base_allocator_system(), BLOCK_SIZE, SEGMENT_BLOCKS, BATCH_SIZE_MAX);
    uint64_t crash = crash_everywhere(&fresh, work, history).violations;
    uint64_t flip = flip_everywhere(&fresh, work, history, false).violations;
    flip += flip_everywhere(&fresh, work, history, true).violations;
    for (uint64_t seed = 1; argc == 1 && seed <= RANDOM_WORKLOADS; seed++) {
        printf("seed %llu: ", (unsigned long long)seed);
        make_random_workload(work, seed);
        crash += crash_everywhere(&fresh, work, history).violations;
        flip += flip_everywhere(&fresh, work, history, seed % 2 == 0).violations;
    }
    log_disk_fini(&fresh);
    free(work);
    free(history);
    if (argc > 1 && strcmp(argv[1], "--expect=crash") == 0)
        return crash > 0 ? 0 : 1;
    if (argc > 1 && strcmp(argv[1], "--expect=flip") == 0)
        return flip > 0 ? 0 : 1;
    return crash + flip == 0 ? 0 : 1;
}

#include "store/superblock.h"

#include <string.h>

#include <criterion/criterion.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/sim_device.h"
#include "tests/lib/counting.h"
#include "tests/lib/test_body.h"

static struct store_superblock sample(void)
{
    struct store_superblock superblock = {.node = 3,
                                          .incarnation = 4,
                                          .feature_level = 5,
                                          .block_size = 512,
                                          .segment_size = 64 * 512,
                                          .lease_max_ms = 6,
                                          .oldest = 7,
                                          .position = {.segment = 8, .batch = 9, .block = 10},
                                          .sequence = 11};
    memset(superblock.storage_id, 0xaa, STORE_ID_SIZE);
    memset(superblock.cluster_id, 0xbb, STORE_ID_SIZE);
    return superblock;
}

static struct counting counting;
static struct store_sim_device *sim;
static struct store_device device;

static void set_up(void)
{
    const struct store_sim_config config = {.sector_size = 128, .capacity_max = 1 << 20};
    sim = store_sim_device_new(&config, counting_init(&counting));
    device = store_sim_device_of(sim);
}

static void tear_down(void)
{
    store_sim_device_free(sim);
    counting_fini(&counting);
}

static struct store_superblock formatted(void)
{
    struct store_superblock superblock = sample();
    cr_assert_eq(store_superblock_format(&device, &superblock), TORC_OK);
    return superblock;
}

/* Every field comes back. */
Test(superblock, decode_gives_back_what_encode_took)
{
    struct store_superblock in = sample();
    struct store_superblock out;
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    memset(&out, 0, sizeof out);
    store_superblock_encode(&in, bytes);
    cr_assert_eq(store_superblock_decode(bytes, &out), TORC_OK);
    uint8_t again[STORE_SUPERBLOCK_SIZE];
    store_superblock_encode(&out, again);
    cr_assert_arr_eq(bytes, again, sizeof bytes);
    cr_assert_eq(out.node, 3);
    cr_assert_eq(out.incarnation, 4);
    cr_assert_eq(out.feature_level, 5);
    cr_assert_eq(out.lease_max_ms, 6);
    cr_assert_eq(out.oldest, 7);
    cr_assert_eq(out.position.segment, 8);
    cr_assert_eq(out.position.batch, 9);
    cr_assert_eq(out.position.block, 10);
    cr_assert_eq(out.sequence, 11);
    cr_assert_arr_eq(out.storage_id, in.storage_id, STORE_ID_SIZE);
    cr_assert_arr_eq(out.cluster_id, in.cluster_id, STORE_ID_SIZE);
}

/* No bit of a copy can change without being noticed. */
Test(superblock, any_flipped_bit_is_malformed)
{
    struct store_superblock in = sample();
    struct store_superblock out;
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    store_superblock_encode(&in, bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(store_superblock_decode(bytes, &out), TORC_MALFORMED);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A whole superblock of a later layout is "newer", never "damaged". */
Test(superblock, later_version_is_newer)
{
    struct store_superblock in = sample();
    struct store_superblock out;
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    store_superblock_encode(&in, bytes);
    base_put_le32(bytes + 16, STORE_SUPERBLOCK_VERSION + 1);
    base_put_le64(bytes + 8, base_hash(base_bytes_of(bytes + 16, sizeof bytes - 16)));
    cr_assert_eq(store_superblock_decode(bytes, &out), TORC_NEWER);
}

/* Encodes the sample with one field of `size` bytes changed, under a right hash, and decodes it. */
static enum torc_status decode_with(size_t at, size_t size, uint64_t value)
{
    struct store_superblock in = sample(), out;
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    store_superblock_encode(&in, bytes);
    if (size == 4)
        base_put_le32(bytes + at, (uint32_t)value);
    else
        base_put_le64(bytes + at, value);
    base_put_le64(bytes + 8, base_hash(base_bytes_of(bytes + 16, sizeof bytes - 16)));
    return store_superblock_decode(bytes, &out);
}

enum { AT_VERSION = 16, AT_SEQUENCE = 56, AT_BLOCK_SIZE = 72, AT_BLOCK = 76, AT_SEGMENT_SIZE = 80 };
enum { AT_OLDEST = 96, AT_SEGMENT = 104, AT_BATCH = 112 };

/* A whole copy whose fields cannot go together is malformed: no recovery begins from it. */
Test(superblock, whole_copy_with_impossible_fields_is_malformed)
{
    cr_assert_eq(decode_with(AT_SEQUENCE, 8, 11), TORC_OK);
    cr_assert_eq(decode_with(AT_VERSION, 4, STORE_SUPERBLOCK_VERSION - 1), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_SEQUENCE, 8, 0), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_BLOCK_SIZE, 4, 0), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_BLOCK_SIZE, 4, STORE_BLOCK_SIZE_MIN / 2), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_BLOCK_SIZE, 4, STORE_BLOCK_SIZE_MAX * 2), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_SEGMENT_SIZE, 8, 64 * 512 + 1), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_SEGMENT_SIZE, 8, UINT64_C(1) << 32), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_OLDEST, 8, 0), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_OLDEST, 8, 8), TORC_OK);
    cr_assert_eq(decode_with(AT_OLDEST, 8, 9), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_BLOCK, 4, 0), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_BLOCK, 4, 64), TORC_OK);
    cr_assert_eq(decode_with(AT_BLOCK, 4, 65), TORC_MALFORMED);
    cr_assert_eq(decode_with(AT_SEGMENT, 8, 0), TORC_MALFORMED);
}

/* A log that was never begun has no position at all. */
Test(superblock, position_without_a_segment_is_malformed)
{
    static const size_t fields[] = {AT_OLDEST, AT_BLOCK, AT_BATCH};
    struct store_superblock in = sample(), out;
    in.oldest = 0;
    in.position = (struct store_position){0};
    uint8_t right[STORE_SUPERBLOCK_SIZE];
    store_superblock_encode(&in, right);
    cr_assert_eq(store_superblock_decode(right, &out), TORC_OK);
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[STORE_SUPERBLOCK_SIZE];
        memcpy(bytes, right, sizeof bytes);
        bytes[fields[i]] = 1;
        base_put_le64(bytes + 8, base_hash(base_bytes_of(bytes + 16, sizeof bytes - 16)));
        cr_assert_eq(store_superblock_decode(bytes, &out), TORC_MALFORMED, "field %zu", i);
    }
}

/* A format is made once: a device with a superblock is refused and left as it was. */
TEST_BODY(superblock, format_refuses_what_is_not_empty, set_up, tear_down)
{
    struct store_superblock first = formatted();
    struct store_superblock second = sample();
    second.node = 99;
    cr_assert_eq(store_superblock_format(&device, &second), TORC_EXISTS);
    struct store_superblock loaded;
    bool repaired;
    cr_assert_eq(store_superblock_load(&device, &loaded, &repaired), TORC_OK);
    cr_assert_eq(loaded.node, first.node);
    cr_assert_not(repaired);
}

/* A device that holds a segment is not empty either. */
TEST_BODY(superblock, format_refuses_a_device_with_segments, set_up, tear_down)
{
    bool done;
    struct store_superblock superblock = sample();
    cr_assert_eq(device.prepare(device.context, 1, 4096, &done), TORC_OK);
    cr_assert_eq(store_superblock_format(&device, &superblock), TORC_EXISTS);
}

/* Geometry that the log could not work with is refused before anything is written. */
TEST_BODY(superblock, format_refuses_bad_geometry, set_up, tear_down)
{
    struct store_superblock superblock = sample();
    superblock.block_size = 500;
    cr_assert_eq(store_superblock_format(&device, &superblock), TORC_INVALID);
    superblock = sample();
    superblock.segment_size = 512;
    cr_assert_eq(store_superblock_format(&device, &superblock), TORC_INVALID);
    cr_assert_eq(store_superblock_load(&device, &superblock, &(bool){false}), TORC_NOT_FOUND);
}

static uint64_t calls_left;
static struct store_device whole;

static enum torc_status next_failing(void *context, uint64_t after, uint64_t *ret_segment,
                                     uint64_t *ret_size)
{
    return calls_left-- == 0 ? TORC_IO : whole.next(context, after, ret_segment, ret_size);
}

static enum torc_status read_failing(void *context, unsigned copy, void *buffer)
{
    return calls_left-- == 0 ? TORC_IO : whole.superblock_read(context, copy, buffer);
}

/* What cannot be looked at is not taken for empty: a format that cannot read writes nothing. */
TEST_BODY(superblock, format_refuses_what_it_cannot_read, set_up, tear_down)
{
    struct store_superblock superblock = sample();
    struct store_sim_counters counters;
    whole = device;
    device.next = next_failing;
    device.superblock_read = read_failing;
    for (uint64_t failed = 0; failed < 3; failed++) {
        calls_left = failed;
        cr_assert_eq(store_superblock_format(&device, &superblock), TORC_IO);
        store_sim_device_counters(sim, &counters);
        cr_assert_eq(counters.operations, 0);
    }
    cr_assert_eq(store_superblock_format(&device, &superblock), TORC_OK);
}

/* A copy that cannot be read may be the newer one: the other is not taken, and not written over. */
TEST_BODY(superblock, load_refuses_what_it_cannot_read, set_up, tear_down)
{
    struct store_superblock superblock = formatted();
    struct store_sim_counters before, after;
    bool repaired;
    store_sim_device_counters(sim, &before);
    whole = device;
    device.superblock_read = read_failing;
    for (uint64_t failed = 0; failed < STORE_SUPERBLOCK_COPIES; failed++) {
        calls_left = failed;
        cr_assert_eq(store_superblock_load(&device, &superblock, &repaired), TORC_IO);
    }
    store_sim_device_counters(sim, &after);
    cr_assert_eq(after.operations, before.operations);
    cr_assert_eq(store_superblock_load(&device, &superblock, &repaired), TORC_OK);
}

/* Each write of a format that fails is told. */
TEST_BODY(superblock, format_says_that_writing_failed, set_up, tear_down)
{
    for (uint64_t failed = 0; failed <= 5; failed++) {
        struct store_sim_device *clone = store_sim_device_clone(sim);
        struct store_device failing = store_sim_device_of(clone);
        struct store_superblock superblock = sample();
        store_sim_device_inject(clone, STORE_SIM_ERROR, failed);
        enum torc_status status = store_superblock_format(&failing, &superblock);
        cr_assert_eq(status, failed < 5 ? TORC_IO : TORC_OK, "operation %lu",
                     (unsigned long)failed);
        store_sim_device_free(clone);
    }
}

/* One copy that was never written is made from the other. */
TEST_BODY(superblock, one_missing_copy_is_made, set_up, tear_down)
{
    struct store_superblock superblock = sample(), loaded;
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    bool repaired;
    store_superblock_encode(&superblock, bytes);
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++) {
        struct store_sim_device *clone = store_sim_device_clone(sim);
        struct store_device half = store_sim_device_of(clone);
        cr_assert_eq(half.superblock_write(clone, copy, bytes), TORC_OK);
        cr_assert_eq(store_superblock_load(&half, &loaded, &repaired), TORC_OK);
        cr_assert(repaired);
        cr_assert_eq(loaded.sequence, 11);
        cr_assert_eq(store_superblock_load(&half, &loaded, &repaired), TORC_OK);
        cr_assert_not(repaired);
        store_sim_device_free(clone);
    }
}

/* Of two whole copies the later one counts, wherever it stands, and then both are it. */
TEST_BODY(superblock, later_copy_counts, set_up, tear_down)
{
    for (unsigned later = 0; later < STORE_SUPERBLOCK_COPIES; later++) {
        struct store_superblock superblock = sample(), loaded;
        bool repaired;
        for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++) {
            uint8_t bytes[STORE_SUPERBLOCK_SIZE];
            superblock.sequence = copy == later ? 21 : 20;
            superblock.incarnation = copy == later ? 8 : 7;
            store_superblock_encode(&superblock, bytes);
            cr_assert_eq(device.superblock_write(sim, copy, bytes), TORC_OK);
        }
        cr_assert_eq(store_superblock_load(&device, &loaded, &repaired), TORC_OK);
        cr_assert_eq(loaded.incarnation, 8);
        cr_assert_not(repaired);
        cr_assert_eq(store_sim_device_flip_superblock(sim, later, 777), TORC_OK);
        cr_assert_eq(store_superblock_load(&device, &loaded, &repaired), TORC_OK);
        cr_assert_eq(loaded.incarnation, 8, "the other copy is it too");
    }
}

/* One bad copy, either of them, is repaired from the other. */
TEST_BODY(superblock, one_bad_copy_is_repaired, set_up, tear_down)
{
    formatted();
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++) {
        struct store_superblock loaded;
        bool repaired;
        cr_assert_eq(store_sim_device_flip_superblock(sim, copy, 777), TORC_OK);
        cr_assert_eq(store_superblock_load(&device, &loaded, &repaired), TORC_OK);
        cr_assert(repaired);
        cr_assert_eq(store_superblock_load(&device, &loaded, &repaired), TORC_OK);
        cr_assert_not(repaired);
    }
}

/* With no whole copy there is nothing to go by: the caller must not go on. */
TEST_BODY(superblock, two_bad_copies_are_damage, set_up, tear_down)
{
    formatted();
    struct store_superblock loaded;
    bool repaired;
    cr_assert_eq(store_sim_device_flip_superblock(sim, 0, 1), TORC_OK);
    cr_assert_eq(store_sim_device_flip_superblock(sim, 1, 2), TORC_OK);
    cr_assert_eq(store_superblock_load(&device, &loaded, &repaired), TORC_DAMAGED);
}

/* A copy that a newer process wrote is enough to keep hands off, either of them. */
TEST_BODY(superblock, one_newer_copy_is_newer, set_up, tear_down)
{
    struct store_superblock superblock = formatted();
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    bool repaired;
    store_superblock_encode(&superblock, bytes);
    base_put_le32(bytes + 16, STORE_SUPERBLOCK_VERSION + 1);
    base_put_le64(bytes + 8, base_hash(base_bytes_of(bytes + 16, sizeof bytes - 16)));
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++) {
        struct store_sim_device *clone = store_sim_device_clone(sim);
        struct store_device newer = store_sim_device_of(clone);
        cr_assert_eq(newer.superblock_write(clone, copy, bytes), TORC_OK);
        cr_assert_eq(store_superblock_load(&newer, &superblock, &repaired), TORC_NEWER);
        store_sim_device_free(clone);
    }
}

struct fates {
    uint64_t mask;
};

static enum store_sim_fate fate_of(void *context)
{
    struct fates *fates = context;
    enum store_sim_fate fate = fates->mask & 1 ? STORE_SIM_KEPT : STORE_SIM_LOST;
    fates->mask >>= 1;
    return fate;
}

/* Power lost at each operation of an update, each subset of sectors landing: the old or the new
 * incarnation is there, the new one for certain once update returned. */
TEST_BODY(superblock, update_is_old_or_new_at_every_cut, set_up, tear_down)
{
    formatted();
    for (uint64_t cut = 0; cut <= 4; cut++) {
        for (uint64_t mask = 0; mask < 16; mask++) {
            struct store_sim_device *clone = store_sim_device_clone(sim);
            struct store_device cut_device = store_sim_device_of(clone);
            struct store_superblock superblock;
            bool repaired;
            cr_assert_eq(store_superblock_load(&cut_device, &superblock, &repaired), TORC_OK);
            uint32_t before = superblock.incarnation;
            store_sim_device_inject(clone, STORE_SIM_STOP, cut);
            superblock.incarnation++;
            enum torc_status status = store_superblock_update(&cut_device, &superblock);
            cr_assert_eq(status, cut < 4 ? TORC_IO : TORC_OK);
            struct fates fates = {.mask = mask};
            store_sim_device_power_loss(clone, fate_of, &fates);
            cr_assert_eq(store_superblock_load(&cut_device, &superblock, &repaired), TORC_OK);
            cr_assert(superblock.incarnation == before + 1 ||
                      (status != TORC_OK && superblock.incarnation == before));
            store_sim_device_free(clone);
        }
    }
}

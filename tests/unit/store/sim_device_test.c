#include "store/sim_device.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/lib/counting.h"
#include "tests/lib/test_body.h"

enum { SECTOR = 256, SEGMENT = 8 * SECTOR };

static struct counting counting;
static struct store_sim_device *sim;
static struct store_device device;

static void set_up(void)
{
    const struct store_sim_config config = {.sector_size = SECTOR, .capacity_max = 4 * SEGMENT};
    bool done = false;
    sim = store_sim_device_new(&config, counting_init(&counting));
    device = store_sim_device_of(sim);
    cr_assert_eq(device.prepare(sim, 1, SEGMENT, &done), TORC_OK);
    cr_assert(done);
}

static void tear_down(void)
{
    store_sim_device_free(sim);
    counting_fini(&counting);
}

static enum torc_status try_write(uint64_t first, size_t count, uint8_t value, bool durable)
{
    uint8_t bytes[SEGMENT];
    memset(bytes, value, sizeof bytes);
    return device.write(sim, 1, first * SECTOR, bytes, count * SECTOR, durable);
}

/* Not durable. */
static void write_sectors(uint64_t first, size_t count, uint8_t value)
{
    cr_assert_eq(try_write(first, count, value, false), TORC_OK);
}

static void write_durable(uint64_t first, size_t count, uint8_t value)
{
    cr_assert_eq(try_write(first, count, value, true), TORC_OK);
}

static uint8_t byte_at(struct store_sim_device *from, uint64_t segment, uint64_t offset)
{
    uint8_t byte;
    struct store_device reader = store_sim_device_of(from);
    cr_assert_eq(reader.read(from, segment, offset, &byte, 1), TORC_OK);
    return byte;
}

static enum store_sim_fate lost(void *context)
{
    (void)context;
    return STORE_SIM_LOST;
}

static enum store_sim_fate torn(void *context)
{
    (void)context;
    return STORE_SIM_TORN;
}

static enum store_sim_fate every_other(void *context)
{
    unsigned *asked = context;
    return (*asked)++ % 2 == 0 ? STORE_SIM_KEPT : STORE_SIM_LOST;
}

/* What was not synced is read until the power goes, and after a process crash; then it is gone. */
TEST_BODY(sim_device, unsynced_bytes_outlive_a_process_but_not_the_power, set_up, tear_down)
{
    write_durable(0, 1, 7);
    write_sectors(0, 2, 9);
    store_sim_device_process_crash(sim);
    cr_assert_eq(byte_at(sim, 1, 0), 9);
    cr_assert_eq(store_sim_device_pending(sim), 2);
    store_sim_device_power_loss(sim, lost, NULL);
    cr_assert_eq(byte_at(sim, 1, 0), 7);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 0);
}

/* Each sector has a fate of its own; a torn one is half new. */
TEST_BODY(sim_device, sectors_land_one_by_one, set_up, tear_down)
{
    unsigned asked = 0;
    write_sectors(0, 4, 5);
    store_sim_device_power_loss(sim, every_other, &asked);
    cr_assert_eq(asked, 4);
    cr_assert_eq(byte_at(sim, 1, 0), 5);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 0);
    cr_assert_eq(byte_at(sim, 1, 2 * SECTOR), 5);
    write_sectors(1, 1, 6);
    store_sim_device_power_loss(sim, torn, NULL);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 6);
    cr_assert_eq(byte_at(sim, 1, 2 * SECTOR - 1), 0);
}

/* A durable write can be cut between its write and its sync, and vouches for its own sectors. */
TEST_BODY(sim_device, durable_write_is_of_its_own_sectors, set_up, tear_down)
{
    unsigned asked = 0;
    write_sectors(0, 1, 4);
    write_durable(1, 2, 5);
    cr_assert_eq(store_sim_device_pending(sim), 1);
    store_sim_device_inject(sim, STORE_SIM_STOP, 1);
    cr_assert_eq(try_write(3, 2, 6, true), TORC_IO);
    cr_assert_eq(store_sim_device_pending(sim), 3);
    store_sim_device_power_loss(sim, every_other, &asked);
    cr_assert_eq(asked, 3);
    cr_assert_eq(byte_at(sim, 1, 0), 4);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 5);
    cr_assert_eq(byte_at(sim, 1, 2 * SECTOR), 5);
    cr_assert_eq(byte_at(sim, 1, 3 * SECTOR), 0);
    cr_assert_eq(byte_at(sim, 1, 4 * SECTOR), 6);
}

/* A name changes for good only with the directory's sync; the content does not follow the name. */
TEST_BODY(sim_device, names_wait_for_the_directory, set_up, tear_down)
{
    uint64_t segment;
    uint64_t size;
    write_durable(0, 1, 5);
    cr_assert_eq(device.rename(sim, 1, 4), TORC_OK);
    cr_assert_eq(byte_at(sim, 4, 0), 5);
    store_sim_device_power_loss(sim, lost, NULL);
    cr_assert_eq(byte_at(sim, 1, 0), 5);
    cr_assert_eq(device.rename(sim, 1, 4), TORC_OK);
    cr_assert_eq(device.sync_directory(sim), TORC_OK);
    cr_assert_eq(device.remove(sim, 4), TORC_OK);
    cr_assert_eq(device.next(sim, 0, &segment, &size), TORC_NOT_FOUND);
    store_sim_device_power_loss(sim, lost, NULL);
    cr_assert_eq(device.next(sim, 0, &segment, &size), TORC_OK);
    cr_assert_eq(segment, 4);
    cr_assert_eq(size, SEGMENT);
}

/* A clone shares content and goes its own way. */
TEST_BODY(sim_device, clones_do_not_see_each_other, set_up, tear_down)
{
    write_sectors(0, 8, 5);
    struct store_sim_device *clone = store_sim_device_clone(sim);
    size_t bytes = counting.bytes;
    cr_assert_eq(store_sim_device_flip(clone, 1, 0), TORC_OK);
    write_sectors(1, 1, 6);
    cr_assert_eq(byte_at(clone, 1, 0), 4);
    cr_assert_eq(byte_at(clone, 1, SECTOR), 5);
    cr_assert_eq(byte_at(sim, 1, 0), 5);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 6);
    cr_assert_lt(counting.bytes - bytes, 4 * SECTOR + 64, "only what differs was copied");
    store_sim_device_free(clone);
}

/* Faults hit the operation they were ordered for, and do what their names say. */
TEST_BODY(sim_device, faults_hit_the_operation_they_are_for, set_up, tear_down)
{
    store_sim_device_inject(sim, STORE_SIM_ERROR, 1);
    cr_assert_eq(try_write(0, 1, 3, true), TORC_IO);
    cr_assert_eq(store_sim_device_pending(sim), 1, "written, not synced");
    write_durable(0, 1, 3);
    store_sim_device_inject(sim, STORE_SIM_MISDIRECTED, 0);
    write_durable(2, 1, 3);
    cr_assert_eq(byte_at(sim, 1, 2 * SECTOR), 0);
    cr_assert_eq(byte_at(sim, 1, 3 * SECTOR), 3);
    cr_assert_eq(store_sim_device_pending(sim), 0, "it is durable where it landed");
    store_sim_device_inject(sim, STORE_SIM_LOST_WRITE, 0);
    write_durable(4, 1, 3);
    cr_assert_eq(byte_at(sim, 1, 4 * SECTOR), 0);
    store_sim_device_inject(sim, STORE_SIM_STOP, 0);
    cr_assert_eq(try_write(5, 1, 3, true), TORC_IO);
    cr_assert_eq(try_write(6, 1, 3, true), TORC_IO);
    cr_assert_eq(byte_at(sim, 1, 5 * SECTOR), 3);
    cr_assert_eq(byte_at(sim, 1, 6 * SECTOR), 0);
}

/* A full disk says so and takes nothing; removing what is there makes room. */
TEST_BODY(sim_device, full_disk_refuses_to_prepare, set_up, tear_down)
{
    bool done = false;
    store_sim_device_resize(sim, SEGMENT);
    cr_assert_eq(device.prepare(sim, 2, SEGMENT, &done), TORC_FULL);
    cr_assert_not(done);
    cr_assert_eq(device.remove(sim, 1), TORC_OK);
    cr_assert_eq(device.sync_directory(sim), TORC_OK);
    cr_assert_eq(device.prepare(sim, 2, SEGMENT, &done), TORC_OK);
    cr_assert(done);
}

/* After a failed sync a later one says done, and what the first was for is still not on disk. */
TEST_BODY(sim_device, failed_sync_sets_its_sectors_adrift, set_up, tear_down)
{
    store_sim_device_inject(sim, STORE_SIM_SYNC_ERROR, 0);
    cr_assert_eq(try_write(0, 2, 7, true), TORC_IO);
    write_durable(2, 1, 8);
    store_sim_device_process_crash(sim);
    cr_assert_eq(byte_at(sim, 1, 0), 7);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 7);
    write_durable(1, 1, 9);
    store_sim_device_power_loss(sim, lost, NULL);
    cr_assert_eq(byte_at(sim, 1, 0), 0);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 9);
    cr_assert_eq(byte_at(sim, 1, 2 * SECTOR), 8);
    struct store_sim_counters counters;
    store_sim_device_counters(sim, &counters);
    cr_assert_eq(counters.faults, 1);
}

/* While it lies nothing reaches the disk, and no sync says so. */
TEST_BODY(sim_device, lying_disk_loses_what_it_called_synced, set_up, tear_down)
{
    write_durable(0, 1, 7);
    store_sim_device_lie(sim, true);
    write_durable(0, 2, 8);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 8);
    cr_assert_eq(store_sim_device_pending(sim), 2);
    store_sim_device_power_loss(sim, lost, NULL);
    cr_assert_eq(byte_at(sim, 1, 0), 7);
    cr_assert_eq(byte_at(sim, 1, SECTOR), 0);
}

#include "store/driver/rocks.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/sim_kv.h"
#include "tests/lib/kv_trace.h"
#include "tests/lib/test_body.h"

static char folder[256], path[300], error[1024];

static int remove_entry(const char *name, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(name);
}

static void setup(void)
{
    const char *base = getenv("TEST_TMPDIR");
    snprintf(folder, sizeof(folder), "%s/rocks.XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/state", folder);
}

static void teardown(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(store_driver, .timeout = 60);

static struct store_kv *open_store(bool create, size_t write_buffer_size)
{
    struct store_rocks_config config = store_rocks_config_default(path);
    struct store_kv *kv;
    config.create = create;
    config.free_size_min = 0;
    config.write_buffer_size = write_buffer_size;
    enum torc_status status = store_rocks_open(&config, error, sizeof(error), &kv);
    cr_assert_eq(status, TORC_OK, "%s", error);
    return kv;
}

static enum torc_status open_status(bool create)
{
    struct store_rocks_config config = store_rocks_config_default(path);
    struct store_kv *kv = NULL;
    config.create = create;
    enum torc_status status = store_rocks_open(&config, error, sizeof(error), &kv);
    store_kv_close(kv);
    return status;
}

static enum torc_status put(struct store_kv *kv, const char *key, struct base_bytes value)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    store_batch_put(batch, base_bytes_text(key), value);
    enum torc_status status = store_kv_write(kv, batch);
    store_batch_free(batch);
    return status;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Looks again and again until all that was written is on disk; false after half a minute. */
static bool wait_flushed(struct kv_trace *trace, struct store_kv *kv)
{
    uint64_t deadline_ms = now_ms() + 30000;
    while (kv_trace_flushed(trace, kv) != kv_trace_written(trace)) {
        if (now_ms() > deadline_ms)
            return false;
        (void)store_kv_unflushed_size(kv);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return true;
}

/* The simulator's twin and RocksDB answer alike, step for step, also when RocksDB flushes all the
 * time. */
TEST_BODY(store_driver, rocks_agrees_with_its_twin, setup, teardown)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct store_kv *twin = store_sim_kv_new(base_allocator_system(), seed);
        struct kv_trace *twin_trace = kv_trace_new(seed, 2000);
        kv_trace_run(twin_trace, twin, 2000);

        struct store_kv *kv = open_store(true, seed % 2 == 0 ? 64 << 10 : 64 << 20);
        struct kv_trace *trace = kv_trace_new(seed, 2000);
        kv_trace_run(trace, kv, 2000);
        cr_assert_eq(kv_trace_hash(trace), kv_trace_hash(twin_trace));

        store_kv_close(kv);
        store_kv_close(twin);
        kv_trace_free(trace);
        kv_trace_free(twin_trace);
        teardown();
        setup();
    }
}

/* A store that was closed and opened again goes on as the twin does after a crash. */
TEST_BODY(store_driver, rocks_reopened_is_a_whole_batch_cut, setup, teardown)
{
    struct kv_trace *trace = kv_trace_new(11, 3000);
    store_kv_close(open_store(true, 64 << 20));
    for (int life = 0; life < 6; life++) {
        struct store_kv *kv = open_store(false, 64 << 10);
        uint32_t flushed = kv_trace_check_cut(trace, kv, kv_trace_flushed(trace, kv));
        kv_trace_run(trace, kv, 500);
        cr_assert_geq(kv_trace_flushed(trace, kv), flushed);
        store_kv_close(kv);
    }
    kv_trace_free(trace);
}

enum { KILLS = 8, STEPS = 600 };

/* Of each kill: batches written after the flush, and batches that were seen flushed. */
struct kill {
    uint32_t more;
    _Atomic uint32_t flushed;
};

/* Works, waits for a flush, works on and dies. */
static void work_and_die(uint64_t seed, struct kill *kill)
{
    struct store_kv *kv = open_store(true, seed % 2 == 0 ? 64 << 10 : 64 << 20);
    struct kv_trace *trace = kv_trace_new(seed, 4000);
    kv_trace_run(trace, kv, STEPS);
    store_kv_flush(kv);
    if (!wait_flushed(trace, kv))
        _exit(1);
    kv_trace_write(trace, kv, kill->more / 2);
    store_kv_flush(kv); /* May end before the death or not. */
    kv_trace_write(trace, kv, kill->more - kill->more / 2);
    kill->flushed = kv_trace_flushed(trace, kv);
    raise(SIGKILL);
}

static void check_killed(uint64_t seed, struct kill *kill)
{
    struct store_kv *twin = store_sim_kv_new(base_allocator_system(), seed);
    struct kv_trace *trace = kv_trace_new(seed, 4000);
    kv_trace_run(trace, twin, STEPS);
    cr_assert_geq(kill->flushed, kv_trace_written(trace));
    kv_trace_write(trace, twin, kill->more);
    struct store_kv *kv = open_store(false, 64 << 20);
    kv_trace_check_cut(trace, kv, kill->flushed);
    kv_trace_run(trace, kv, 200);
    store_kv_close(kv);
    store_kv_close(twin);
    kv_trace_free(trace);
}

/* Killed at any time, RocksDB has exactly what some number of whole batches left, not fewer than
 * the flushes that were seen to end. The parent knows what was there from the twin. (It opens no
 * store before the last fork: RocksDB's threads do not follow.) */
TEST_BODY(store_driver, rocks_killed_keeps_a_whole_batch_cut, setup, teardown)
{
    struct kill *kills = mmap(NULL, KILLS * sizeof(*kills), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(kills, MAP_FAILED);
    for (uint64_t seed = 0; seed < KILLS; seed++) {
        kills[seed].more = (uint32_t)seed * 100;
        snprintf(path, sizeof(path), "%s/state%d", folder, (int)seed);
        pid_t child = fork();
        if (child == 0)
            work_and_die(seed, &kills[seed]);
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    for (uint64_t seed = 0; seed < KILLS; seed++) {
        snprintf(path, sizeof(path), "%s/state%d", folder, (int)seed);
        check_killed(seed, &kills[seed]);
    }
}

/* Asked for again and again, with writes between, flushes end with everything on disk, and what is
 * unflushed falls. */
TEST_BODY(store_driver, rocks_flushes_asked_for_in_a_row_all_end, setup, teardown)
{
    struct store_kv *kv = open_store(true, 64 << 20);
    struct kv_trace *trace = kv_trace_new(3, 4000);
    kv_trace_write(trace, kv, 1000);
    size_t size = store_kv_unflushed_size(kv);
    for (int i = 0; i < 60; i++) {
        kv_trace_write(trace, kv, 10);
        store_kv_flush(kv);
    }
    cr_assert(wait_flushed(trace, kv));
    cr_assert_lt(store_kv_unflushed_size(kv), size);
    kv_trace_free(trace);
    store_kv_close(kv);
}

/* Rather than wait for the disk a write says busy and has done nothing; later it goes through. */
TEST_BODY(store_driver, rocks_says_busy_instead_of_stalling, setup, teardown)
{
    enum { VALUE_SIZE = 60 << 10 };
    static uint8_t bytes[VALUE_SIZE];
    struct base_prng prng = base_prng_seeded(1);
    for (size_t i = 0; i < VALUE_SIZE; i++)
        bytes[i] = (uint8_t)base_prng_next(&prng);
    struct store_kv *kv = open_store(true, 64 << 10);
    uint64_t deadline_ms = now_ms() + 30000;
    uint32_t written = 0;
    enum torc_status status;
    do {
        base_put_le32(bytes, ++written);
        status = put(kv, "key", base_bytes_of(bytes, VALUE_SIZE));
    } while (status == TORC_OK && now_ms() < deadline_ms);
    cr_assert_eq(status, TORC_BUSY);
    struct store_value value;
    cr_assert_eq(store_kv_get(kv, NULL, base_bytes_text("key"), &value), TORC_OK);
    cr_assert_eq(base_get_le32(value.bytes.data), written - 1);
    store_value_release(&value);
    while (status == TORC_BUSY && now_ms() < deadline_ms)
        status = put(kv, "key", base_bytes_of(bytes, VALUE_SIZE));
    cr_assert_eq(status, TORC_OK);
    store_kv_close(kv);
}

/* Under the reserve nothing is written, and what is there can be read. */
TEST_BODY(store_driver, rocks_says_full_under_the_reserve, setup, teardown)
{
    struct store_rocks_config config = store_rocks_config_default(path);
    struct store_kv *kv = open_store(true, 64 << 20);
    cr_assert_eq(put(kv, "a", base_bytes_text("1")), TORC_OK);
    store_kv_close(kv);
    config.free_size_min = UINT64_MAX;
    cr_assert_eq(store_rocks_open(&config, error, sizeof(error), &kv), TORC_OK);
    cr_assert_eq(put(kv, "a", base_bytes_text("2")), TORC_FULL);
    struct store_value value;
    cr_assert_eq(store_kv_get(kv, NULL, base_bytes_text("a"), &value), TORC_OK);
    cr_assert(base_bytes_equal(value.bytes, base_bytes_text("1")));
    store_value_release(&value);
    store_kv_close(kv);
}

/* ---- Opening ------------------------------------------------------------------------------------
 */

/* A start never makes a store, also not in place of one whose files are gone. */
TEST_BODY(store_driver, rocks_never_creates_unasked, setup, teardown)
{
    cr_assert_eq(open_status(false), TORC_NOT_FOUND);
    cr_assert_not_null(strstr(error, path));
    cr_assert_eq(open_status(true), TORC_OK);
    cr_assert_eq(open_status(false), TORC_OK);
    char current[400];
    snprintf(current, sizeof(current), "%s/CURRENT", path);
    cr_assert_eq(unlink(current), 0);
    cr_assert_eq(open_status(false), TORC_NOT_FOUND);
}

/* Formatting never takes over what is there. */
TEST_BODY(store_driver, rocks_never_creates_over_a_store, setup, teardown)
{
    cr_assert_eq(open_status(true), TORC_OK);
    cr_assert_eq(open_status(true), TORC_EXISTS);
}

/* Has the store open until its end of the pipe is closed. */
static void hold_open(int said, int told)
{
    char byte = 0;
    struct store_kv *kv = open_store(true, 64 << 20);
    if (write(said, &byte, 1) != 1 || read(told, &byte, 1) != 0)
        _exit(1);
    store_kv_close(kv);
    _exit(0);
}

/* Who comes second is told that there is a first, in another process or in the same. */
TEST_BODY(store_driver, rocks_open_elsewhere_is_locked, setup, teardown)
{
    int said[2], told[2], status;
    char byte;
    cr_assert_eq(pipe(said), 0);
    cr_assert_eq(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        close(told[1]);
        hold_open(said[1], told[0]);
    }
    cr_assert_eq(read(said[0], &byte, 1), 1);
    cr_assert_eq(open_status(false), TORC_LOCKED);
    cr_assert_not_null(strstr(error, "another process"));
    close(told[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    struct store_kv *kv = open_store(false, 64 << 20);
    cr_assert_eq(open_status(false), TORC_LOCKED);
    store_kv_close(kv);
}

/* The first file of the store whose name ends so. */
static void find_file(const char *ending, bool prefix, char ret_name[600])
{
    DIR *directory = opendir(path);
    cr_assert_not_null(directory);
    ret_name[0] = '\0';
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const char *name = entry->d_name;
        size_t size = strlen(name), part = strlen(ending);
        if (size >= part && strncmp(prefix ? name : name + size - part, ending, part) == 0)
            snprintf(ret_name, 600, "%s/%s", path, name);
    }
    closedir(directory);
    cr_assert_neq(ret_name[0], '\0');
}

static void flip_byte(const char *name, long at, int whence, uint8_t mask)
{
    FILE *file = fopen(name, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, at, whence), 0);
    int byte = fgetc(file);
    cr_assert_neq(byte, EOF);
    cr_assert_eq(fseek(file, at, whence), 0);
    fputc(byte ^ mask, file);
    cr_assert_eq(fclose(file), 0);
}

/* A store with 2,000 keys in one file. */
static void make_store_with_a_file(void)
{
    struct store_kv *kv = open_store(true, 64 << 20);
    char key[16], value[200];
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "key%06d", i);
        for (size_t j = 0; j < sizeof(value); j += 4)
            base_put_le32((uint8_t *)value + j, (uint32_t)(i * 7919 + (int)j));
        cr_assert_eq(put(kv, key, base_bytes_of(value, sizeof(value))), TORC_OK);
    }
    store_kv_flush(kv);
    uint64_t deadline_ms = now_ms() + 30000;
    struct store_value flushed;
    while (store_kv_get_flushed(kv, base_bytes_text(key), &flushed) != TORC_OK)
        cr_assert_lt(now_ms(), deadline_ms);
    store_value_release(&flushed);
    store_kv_close(kv);
}

/* A file that another names and that is not there, or not as it was, is damage, not a new start. */
TEST_BODY(store_driver, rocks_damaged_is_refused, setup, teardown)
{
    char name[600];
    make_store_with_a_file();
    find_file("MANIFEST", true, name);
    flip_byte(name, 20, SEEK_SET, 0x10);
    cr_assert_eq(open_status(false), TORC_DAMAGED);
    flip_byte(name, 20, SEEK_SET, 0x10);
    cr_assert_eq(open_status(false), TORC_OK);
    find_file(".sst", false, name);
    cr_assert_eq(unlink(name), 0);
    cr_assert_eq(open_status(false), TORC_DAMAGED);
    cr_assert_not_null(strstr(error, "rebuilt"));
    find_file("MANIFEST", true, name);
    cr_assert_eq(unlink(name), 0);
    cr_assert_eq(open_status(false), TORC_DAMAGED);
}

/* A file in a later format is told from damage. */
TEST_BODY(store_driver, rocks_newer_is_said, setup, teardown)
{
    char name[600];
    make_store_with_a_file();
    find_file(".sst", false, name);
    flip_byte(name, -12, SEEK_END, 0x40); /* The format version stands before the magic number. */
    cr_assert_eq(open_status(false), TORC_NEWER, "%s", error);
}

/* A directory that cannot be read is the disk's fault, not the store's. */
TEST_BODY(store_driver, rocks_path_that_is_a_file_is_an_io_error, setup, teardown)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(open_status(true), TORC_IO, "%s", error);
}

static void make_store_with_a_rotten_block(void)
{
    char name[600];
    make_store_with_a_file();
    find_file(".sst", false, name);
    flip_byte(name, 100000, SEEK_SET, 0xff);
}

/* An iteration over a rotten block says that it is not complete. */
TEST_BODY(store_driver, rocks_rot_ends_an_iteration_with_a_status, setup, teardown)
{
    make_store_with_a_rotten_block();
    struct store_kv *kv = open_store(false, 64 << 20);
    struct store_iterator *iterator =
        store_kv_iterate(kv, NULL, base_bytes_text("key"), base_bytes_text("kez"));
    struct base_bytes key, value;
    int seen = 0;
    enum torc_status status;
    while ((status = store_iterator_next(iterator, &key, &value)) == TORC_OK)
        seen++;
    cr_assert_eq(status, TORC_DAMAGED);
    cr_assert_lt(seen, 2000);
    cr_assert_eq(store_iterator_next(iterator, &key, &value), TORC_DAMAGED);
    store_iterator_free(iterator);
    store_kv_close(kv);
}

static void read_all_rotten(void)
{
    make_store_with_a_rotten_block();
    struct store_kv *kv = open_store(false, 64 << 20);
    char key[16];
    for (int i = 0; i < 2000; i++) {
        struct store_value value;
        snprintf(key, sizeof(key), "key%06d", i);
        if (store_kv_get(kv, NULL, base_bytes_text(key), &value) == TORC_OK)
            store_value_release(&value);
    }
    _exit(0);
}

/* A get that meets a rotten block ends the process, and does not say "not found". */
TEST_BODY(store_driver, rocks_rot_met_by_a_get_ends_the_process, setup, teardown)
{
    pid_t child = fork();
    if (child == 0)
        read_all_rotten();
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == STORE_ROCKS_FAILED_EXIT);
}

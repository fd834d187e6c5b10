/*
 * tests/fuzz/replay_main -- the main() of a fuzz target in the ordinary build.
 *
 *   X_fuzz FILE...      (an argument may name several files, separated by spaces)
 *
 * Runs LLVMFuzzerTestOneInput over the empty input, over each corpus file, and then over seeded
 * mutations of them, until TORC_FUZZ_INPUTS inputs or TORC_FUZZ_MS milliseconds have passed. The
 * same seed (TORC_FUZZ_SEED) makes the same inputs. Each input ends at a page that cannot be
 * touched, so a read past its end dies in every build. Whatever ends the process (signal,
 * sanitizer, an input that takes TORC_FUZZ_HANG_S seconds) first writes the input to a file, to be
 * given back as FILE.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* There in sanitizer builds only: their reports end the process without a signal. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum {
    INPUT_SIZE_MAX = 1 << 16, /* Corpus files may be larger; mutants are cut here. */
    CORPUS_FILES_MAX = 4096,
    HEX_BYTES_MAX = 256, /* Of a crashing input, on standard error; the file has all of it. */
};

struct corpus_file {
    uint8_t *data;
    size_t size;
};

/* One process runs one target: what the crash handler must reach is here. */
static const uint8_t *current_data;
static size_t current_size;
static char crash_path[4096];

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    if (text == NULL || *text == '\0')
        return otherwise;
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        fprintf(stderr, "%s: expected a number, found \"%s\"\n", name, text);
        exit(2);
    }
    return value;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The crash handler: async-signal-safe calls only. */

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written; /* The process is dying; there is nobody else to tell. */
}

static void say_hex(void)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < current_size && i < HEX_BYTES_MAX; i++) {
        char pair[3] = {digits[current_data[i] >> 4], digits[current_data[i] & 15], '\0'};
        say(pair);
    }
    say(current_size > HEX_BYTES_MAX ? "...\n" : "\n");
}

static void report_input(void)
{
    static bool reported;
    if (reported || current_data == NULL)
        return;
    reported = true;
    say("\nfuzz: the input that ended the process, in hex: ");
    say_hex();
    int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0 && write(fd, current_data, current_size) == (ssize_t)current_size) {
        say("fuzz: written to ");
        say(crash_path);
        say(" -- give it as an argument to run it again\n");
    }
}

static void on_signal(int number)
{
    if (number == SIGALRM)
        say("\nfuzz: one input takes too long\n");
    report_input();
    signal(number, SIG_DFL);
    raise(number);
}

static void catch_crashes(const char *program)
{
    const char *folder = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
    const char *base = strrchr(program, '/');
    snprintf(crash_path, sizeof(crash_path), "%s/%s.crash", folder != NULL ? folder : "/tmp",
             base != NULL ? base + 1 : program);
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        signal(numbers[i], on_signal);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(report_input);
}

/* A stretch of memory whose end is the end of what may be touched. */

static uint8_t *guarded_end;

static void guarded_init(size_t size_max)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (size_max + page - 1) / page * page;
    uint8_t *start =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TORC_ASSERT(start != MAP_FAILED);
    guarded_end = start + room;
    TORC_ASSERT(mprotect(guarded_end, page, PROT_NONE) == 0);
}

static void run_input(const uint8_t *data, size_t size)
{
    static unsigned hang_s;
    if (hang_s == 0)
        hang_s = (unsigned)setting("TORC_FUZZ_HANG_S", 10);
    uint8_t *at = guarded_end - size;
    if (size > 0)
        memcpy(at, data, size);
    current_data = at;
    current_size = size;
    alarm(hang_s);
    LLVMFuzzerTestOneInput(at, size);
    alarm(0);
}

/* Mutations. */

static size_t below(struct base_prng *prng, size_t count)
{
    return (size_t)base_prng_range(prng, 0, count - 1);
}

static void flip_bit(struct base_prng *prng, struct corpus_file *input)
{
    if (input->size > 0)
        input->data[below(prng, input->size)] ^= (uint8_t)(1u << below(prng, 8));
}

static void set_byte(struct base_prng *prng, struct corpus_file *input)
{
    if (input->size > 0)
        input->data[below(prng, input->size)] = (uint8_t)below(prng, 256);
}

static void truncate_end(struct base_prng *prng, struct corpus_file *input)
{
    if (input->size > 0)
        input->size = below(prng, input->size);
}

/* Opens `count` bytes at `at`; false when there is no room. */
static bool open_gap(struct corpus_file *input, size_t at, size_t count)
{
    if (count > INPUT_SIZE_MAX - input->size)
        return false;
    memmove(input->data + at + count, input->data + at, input->size - at);
    input->size += count;
    return true;
}

static void insert_random(struct base_prng *prng, struct corpus_file *input)
{
    size_t at = below(prng, input->size + 1);
    size_t count = 1 + below(prng, 16);
    if (!open_gap(input, at, count))
        return;
    for (size_t i = 0; i < count; i++)
        input->data[at + i] = (uint8_t)below(prng, 256);
}

static void duplicate_run(struct base_prng *prng, struct corpus_file *input)
{
    if (input->size == 0)
        return;
    size_t from = below(prng, input->size);
    size_t count = 1 + below(prng, input->size - from);
    if (open_gap(input, from, count))
        memcpy(input->data + from, input->data + from + count, count);
}

static void remove_run(struct base_prng *prng, struct corpus_file *input)
{
    if (input->size == 0)
        return;
    size_t at = below(prng, input->size);
    size_t count = 1 + below(prng, input->size - at);
    memmove(input->data + at, input->data + at + count, input->size - at - count);
    input->size -= count;
}

/* Where a length, a count or an index is likely to be believed. */
static void set_boundary_integer(struct base_prng *prng, struct corpus_file *input)
{
    static const uint64_t values[] = {0,
                                      1,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      0x7fff,
                                      0x8000,
                                      0xffff,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      UINT64_C(1) << 32,
                                      INT64_MAX,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX - 1,
                                      UINT64_MAX};
    size_t width = (size_t)1 << below(prng, 4);
    if (input->size < width)
        return;
    size_t at = below(prng, input->size - width + 1);
    uint64_t value = values[below(prng, sizeof(values) / sizeof(values[0]))];
    if (base_prng_chance(prng, 1, 4))
        value = input->size - at + below(prng, 3) - 1; /* The rest of the input, one off or not. */
    uint8_t bytes[8];
    bool big_endian = base_prng_chance(prng, 1, 2);
    (big_endian ? base_put_be64 : base_put_le64)(bytes, value);
    memcpy(input->data + at, big_endian ? bytes + 8 - width : bytes, width);
}

/* The head of this input and the tail of another. */
static void splice_tail(struct base_prng *prng, struct corpus_file *input,
                        const struct corpus_file *other)
{
    size_t head = below(prng, input->size + 1);
    size_t from = below(prng, other->size + 1);
    size_t tail = other->size - from;
    if (tail > INPUT_SIZE_MAX - head)
        tail = INPUT_SIZE_MAX - head;
    if (tail > 0)
        memcpy(input->data + head, other->data + from, tail);
    input->size = head + tail;
}

static void mutate(struct base_prng *prng, struct corpus_file *input,
                   const struct corpus_file *other)
{
    static void (*const mutations[])(struct base_prng *,
                                     struct corpus_file *) = {flip_bit,
                                                              flip_bit,
                                                              set_byte,
                                                              truncate_end,
                                                              insert_random,
                                                              remove_run,
                                                              duplicate_run,
                                                              set_boundary_integer,
                                                              set_boundary_integer};
    size_t count = sizeof(mutations) / sizeof(mutations[0]);
    size_t drawn = below(prng, count + 1);
    if (drawn == count)
        splice_tail(prng, input, other);
    else
        mutations[drawn](prng, input);
}

/* The corpus. */

static struct corpus_file file_read(const char *path)
{
    FILE *stream = fopen(path, "rb");
    struct stat status;
    if (stream == NULL || fstat(fileno(stream), &status) != 0) {
        fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    struct corpus_file file = {.size = (size_t)status.st_size};
    file.data = malloc(file.size + 1);
    TORC_ASSERT(file.data != NULL);
    if (fread(file.data, 1, file.size, stream) != file.size) {
        fprintf(stderr, "fuzz: %s: short read\n", path);
        exit(2);
    }
    fclose(stream);
    return file;
}

/* The files that the arguments name, after the empty input. */
static size_t corpus_read(char **arguments, struct corpus_file *corpus)
{
    size_t count = 0;
    corpus[count++] = (struct corpus_file){.data = calloc(1, 1), .size = 0};
    for (; *arguments != NULL; arguments++) {
        char *rest = NULL;
        for (char *path = strtok_r(*arguments, " ", &rest); path != NULL;
             path = strtok_r(NULL, " ", &rest)) {
            TORC_ASSERT(count < CORPUS_FILES_MAX);
            corpus[count++] = file_read(path);
        }
    }
    return count;
}

static uint64_t run_mutants(uint64_t seed, const struct corpus_file *corpus, size_t corpus_count)
{
    uint64_t count_max = setting("TORC_FUZZ_INPUTS", 20000);
    uint64_t deadline_ms = now_ms() + setting("TORC_FUZZ_MS", 5000);
    struct base_prng prng = base_prng_seeded(seed);
    struct corpus_file mutant = {.data = malloc(INPUT_SIZE_MAX)};
    TORC_ASSERT(mutant.data != NULL);
    uint64_t count = 0;
    while (count < count_max && now_ms() < deadline_ms) {
        const struct corpus_file *original = &corpus[count % corpus_count];
        const struct corpus_file *other = &corpus[below(&prng, corpus_count)];
        mutant.size = original->size < INPUT_SIZE_MAX ? original->size : INPUT_SIZE_MAX;
        memcpy(mutant.data, original->data, mutant.size);
        /* Mostly one change, so that what lies behind a checksum's field is reached too. */
        do {
            mutate(&prng, &mutant, other);
        } while (base_prng_chance(&prng, 1, 2));
        run_input(mutant.data, mutant.size);
        count++;
    }
    free(mutant.data);
    return count;
}

int main(int argument_count, char **arguments)
{
    TORC_ASSERT(argument_count > 0);
    static struct corpus_file corpus[CORPUS_FILES_MAX];
    uint64_t seed = setting("TORC_FUZZ_SEED", 1);
    printf("fuzz: TORC_FUZZ_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    catch_crashes(arguments[0]);
    size_t corpus_count = corpus_read(arguments + 1, corpus);
    size_t size_max = INPUT_SIZE_MAX;
    for (size_t i = 0; i < corpus_count; i++)
        size_max = corpus[i].size > size_max ? corpus[i].size : size_max;
    guarded_init(size_max);
    for (size_t i = 0; i < corpus_count; i++)
        run_input(corpus[i].data, corpus[i].size);
    uint64_t mutant_count = run_mutants(seed, corpus, corpus_count);
    printf("fuzz: %zu corpus inputs, %" PRIu64 " mutants\n", corpus_count, mutant_count);
    for (size_t i = 0; i < corpus_count; i++)
        free(corpus[i].data);
    return 0;
}

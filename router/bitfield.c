#include "router/bitfield.h"

#include "base/assert.h"
#include "router/glob.h"
#include "router/number.h"
#include "router/reply.h"

/* Redis's bits end where its largest value does. */
static const uint64_t offset_bytes_max = UINT64_C(512) << 20;

enum step_type { STEP_GET, STEP_SET, STEP_ADD };
enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

/* One GET, SET or INCRBY. */
struct step {
    enum step_type type;
    enum overflow overflow;
    bool is_signed;
    unsigned bits;
    uint64_t offset; /* Of its first bit. */
    int64_t number;  /* To set or to add. */
};

/* Where the reading of the words is. */
struct reading {
    const struct base_bytes *args;
    size_t arg_count, at;
    enum overflow overflow;
    const char *error; /* After false: NULL when it was the end. */
};

static bool word_is(struct base_bytes word, const char *text)
{
    return router_glob_match_nocase(base_bytes_text(text), word);
}

static bool fail(struct reading *reading, const char *error)
{
    reading->error = error;
    return false;
}

/* "i16", "u8" */
static bool read_kind(struct reading *reading, struct base_bytes word, struct step *step)
{
    int64_t bits;
    step->is_signed = word.size > 0 && word.data[0] == 'i';
    bool good = word.size > 1 && (step->is_signed || word.data[0] == 'u') &&
                router_number_read(base_bytes_of(word.data + 1, word.size - 1), &bits) &&
                bits >= 1 && bits <= (step->is_signed ? 64 : 63);
    if (!good)
        return fail(reading, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 "
                             "is not supported but i64 is.");
    step->bits = (unsigned)bits;
    return true;
}

/* "100", or "#3" for the third behind the first of its kind. */
static bool read_offset(struct reading *reading, struct base_bytes word, struct step *step)
{
    int64_t number;
    bool counted = word.size > 0 && word.data[0] == '#';
    if (counted)
        word = base_bytes_of(word.data + 1, word.size - 1);
    bool good = router_number_read(word, &number);
    step->offset = good ? (uint64_t)number * (counted ? step->bits : 1) : 0;
    if (!good || step->offset >> 3 >= offset_bytes_max)
        return fail(reading, "ERR bit offset is not an integer or out of range");
    return true;
}

/* OVERFLOW and its kind. */
static bool read_overflow(struct reading *reading)
{
    struct base_bytes word = reading->args[reading->at + 1];
    if (word_is(word, "WRAP"))
        reading->overflow = OVERFLOW_WRAP;
    else if (word_is(word, "SAT"))
        reading->overflow = OVERFLOW_SAT;
    else if (word_is(word, "FAIL"))
        reading->overflow = OVERFLOW_FAIL;
    else
        return fail(reading, "ERR Invalid OVERFLOW type specified");
    reading->at += 2;
    return true;
}

/* The next step; false: an error, or the end. */
static bool read_step(struct reading *reading, struct step *step)
{
    const struct base_bytes *words = reading->args + reading->at;
    size_t left = reading->arg_count - reading->at;
    while (left >= 2 && word_is(words[0], "OVERFLOW")) {
        if (!read_overflow(reading))
            return false;
        words = reading->args + reading->at;
        left = reading->arg_count - reading->at;
    }
    if (left == 0)
        return false;
    if (left >= 3 && word_is(words[0], "GET"))
        step->type = STEP_GET;
    else if (left >= 4 && word_is(words[0], "SET"))
        step->type = STEP_SET;
    else if (left >= 4 && word_is(words[0], "INCRBY"))
        step->type = STEP_ADD;
    else
        return fail(reading, "ERR syntax error");
    step->overflow = reading->overflow;
    if (!read_kind(reading, words[1], step) || !read_offset(reading, words[2], step))
        return false;
    if (step->type != STEP_GET && !router_number_read(words[3], &step->number))
        return fail(reading, "ERR value is not an integer or out of range");
    reading->at += step->type == STEP_GET ? 3 : 4;
    return true;
}

static struct reading reading_of(const struct base_bytes *args, size_t arg_count)
{
    return (struct reading){.args = args, .arg_count = arg_count, .at = 2};
}

bool router_bitfield_check(const struct base_bytes *args, size_t arg_count, bool read_only,
                           struct router_buffer *error)
{
    struct reading reading = reading_of(args, arg_count);
    struct step step;
    bool writes = false;
    while (read_step(&reading, &step))
        writes |= step.type != STEP_GET;
    if (reading.error == NULL && writes && read_only)
        reading.error = "ERR BITFIELD_RO only supports the GET subcommand";
    if (reading.error != NULL)
        router_buffer_text(error, reading.error);
    return reading.error == NULL;
}

uint64_t router_bitfield_size(const struct base_bytes *args, size_t arg_count)
{
    struct reading reading = reading_of(args, arg_count);
    struct step step;
    uint64_t size = 0;
    while (read_step(&reading, &step)) {
        uint64_t end = (step.offset + step.bits + 7) / 8;
        if (step.type != STEP_GET && end > size)
            size = end;
    }
    return size;
}

/* ---- Bits
 * ---------------------------------------------------------------------------------------- */

/* The bits of a step, the first being the highest; those behind the end are 0. */
static uint64_t bits_get(struct base_bytes value, const struct step *step)
{
    uint64_t bits = 0;
    for (uint64_t i = step->offset; i < step->offset + step->bits; i++) {
        unsigned byte = i / 8 < value.size ? value.data[i / 8] : 0;
        bits = bits << 1 | (byte >> (7 - i % 8) & 1);
    }
    return bits;
}

static bool bits_set(struct router_buffer *value, const struct step *step, uint64_t bits)
{
    bool changed = false;
    TORC_ASSERT((step->offset + step->bits + 7) / 8 <= value->size);
    for (unsigned left = step->bits; left > 0; left--) {
        uint64_t at = step->offset + step->bits - left;
        uint8_t mask = (uint8_t)(0x80 >> at % 8), old = value->data[at / 8];
        bool bit = (bits >> (left - 1) & 1) != 0;
        value->data[at / 8] = bit ? old | mask : (uint8_t)(old & ~mask);
        changed |= value->data[at / 8] != old;
    }
    return changed;
}

/* The number that bits stand for; one without sign has at most 63. */
static int64_t number_of(const struct step *step, uint64_t bits)
{
    unsigned unused = 64 - step->bits;
    if (!step->is_signed || unused == 0)
        return (int64_t)bits;
    return (int64_t)(bits << unused) >> unused;
}

/* Adds, and tells of the sum how it is to be taken; false: it is too large or too small. */
static bool add(const struct step *step, int64_t number, int64_t delta, int64_t *ret_sum)
{
    int64_t max = (int64_t)(~UINT64_C(0) >> (64 - step->bits) >> (step->is_signed ? 1 : 0));
    int64_t min = step->is_signed ? -max - 1 : 0;
    int64_t sum;
    bool above = __builtin_add_overflow(number, delta, &sum) ? delta > 0 : sum > max;
    bool below = __builtin_add_overflow(number, delta, &sum) ? delta < 0 : sum < min;
    *ret_sum = sum; /* To 64 bits; what is kept of it wraps to fewer. */
    /* SET of a negative number where there is no sign: Redis takes it for a very large one; so it
     * does where there is a sign when the way up to the largest is no number of 64 bits. */
    if (step->type == STEP_SET && below &&
        (!step->is_signed || __builtin_sub_overflow(max, number, &(int64_t){0})))
        above = true;
    if (step->overflow == OVERFLOW_SAT && (above || below))
        *ret_sum = above ? max : min;
    return !above && !below;
}

static uint64_t bits_of(const struct step *step, int64_t number)
{
    return (uint64_t)number & ~UINT64_C(0) >> (64 - step->bits);
}

/* Carries one step out; returns whether any byte was changed. */
static bool step_run(const struct step *step, unsigned protocol, struct router_buffer *value,
                     struct router_buffer *reply)
{
    uint64_t old_bits = bits_get(router_buffer_bytes(value), step);
    int64_t old = number_of(step, old_bits), sum;
    if (step->type == STEP_GET) {
        router_reply_integer(reply, old);
        return false;
    }
    bool sets = step->type == STEP_SET;
    bool fits = add(step, sets ? step->number : old, sets ? 0 : step->number, &sum);
    if (!fits && step->overflow == OVERFLOW_FAIL) {
        router_reply_null(reply, protocol);
        return false;
    }
    uint64_t bits = bits_of(step, sum);
    router_reply_integer(reply, sets ? old : number_of(step, bits));
    return bits_set(value, step, bits);
}

bool router_bitfield_run(const struct base_bytes *args, size_t arg_count, unsigned protocol,
                         struct router_buffer *value, struct router_buffer *reply)
{
    struct reading reading = reading_of(args, arg_count);
    struct step step;
    size_t count = 0;
    bool changed = false;
    while (read_step(&reading, &step))
        count++;
    router_reply_array(reply, count);
    reading = reading_of(args, arg_count);
    while (read_step(&reading, &step))
        changed |= step_run(&step, protocol, value, reply);
    return changed;
}

#include "tests/sim/tally.h"

#include <stdlib.h>
#include <string.h>

enum { TALLY_SMOKE_SEEDS = 200, TALLY_BATCH_SEEDS = 1000, TALLY_EXACT = 16, TALLY_PARTS = 8 };

struct row {
    const char *name;
    enum sim_need need;
};

static const struct row rows[] = {
#define ROW(name, need) {#name, need},
    SIM_COVERAGE_LIST(ROW)
#undef ROW
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };
_Static_assert(sizeof(struct sim_coverage) == ROW_COUNT * sizeof(uint64_t),
               "a coverage table is an array of counters");

static const uint64_t *counters(const struct sim_tally *tally)
{
    return (const uint64_t *)&tally->coverage;
}

/* ---- Operations per seed. */

static uint32_t bucket_of(uint64_t value)
{
    if (value < TALLY_EXACT)
        return (uint32_t)value;
    uint32_t power = 63 - (uint32_t)__builtin_clzll(value);
    uint32_t bucket = TALLY_EXACT + (power - 4) * TALLY_PARTS +
                      (uint32_t)(value >> (power - 3) & (TALLY_PARTS - 1));
    return bucket < SIM_TALLY_BUCKETS ? bucket : SIM_TALLY_BUCKETS - 1;
}

/* The least value of a bucket. */
static uint64_t value_of(uint32_t bucket)
{
    if (bucket < TALLY_EXACT)
        return bucket;
    uint32_t power = 4 + (bucket - TALLY_EXACT) / TALLY_PARTS;
    return (UINT64_C(8) + (bucket - TALLY_EXACT) % TALLY_PARTS) << (power - 3);
}

static uint64_t percentile(const struct sim_tally *tally, uint64_t percent)
{
    uint64_t below = 0, wanted = (tally->seeds * percent + 99) / 100;
    for (uint32_t i = 0; i < SIM_TALLY_BUCKETS; i++) {
        below += tally->operations[i];
        if (below >= wanted && below > 0)
            return value_of(i);
    }
    return 0;
}

/* ---- Adding up. */

void sim_tally_run(struct sim_tally *tally, uint64_t simulated_us, uint64_t operations)
{
    if (tally->seeds == 0 || operations < tally->operations_least)
        tally->operations_least = operations;
    if (operations > tally->operations_most)
        tally->operations_most = operations;
    tally->seeds++;
    tally->simulated_us += simulated_us;
    tally->operations[bucket_of(operations)]++;
}

void sim_tally_add(struct sim_tally *tally, const struct sim_tally *other)
{
    if (other->seeds == 0)
        return;
    if (tally->seeds == 0 || other->operations_least < tally->operations_least)
        tally->operations_least = other->operations_least;
    if (other->operations_most > tally->operations_most)
        tally->operations_most = other->operations_most;
    tally->seeds += other->seeds;
    tally->simulated_us += other->simulated_us;
    tally->cpu_us += other->cpu_us;
    tally->wall_us += other->wall_us;
    for (uint32_t i = 0; i < SIM_TALLY_BUCKETS; i++)
        tally->operations[i] += other->operations[i];
    for (uint32_t i = 0; i < ROW_COUNT; i++)
        ((uint64_t *)&tally->coverage)[i] += counters(other)[i];
}

/* ---- For people. */

static bool is_missing(const struct sim_tally *tally, uint32_t row)
{
    uint64_t seeds = rows[row].need == SIM_SMOKE   ? TALLY_SMOKE_SEEDS
                     : rows[row].need == SIM_BATCH ? TALLY_BATCH_SEEDS
                                                   : UINT64_MAX;
    return counters(tally)[row] == 0 && tally->seeds >= seeds;
}

uint32_t sim_tally_missing(const struct sim_tally *tally, char *text, size_t size)
{
    uint32_t missing = 0;
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        if (!is_missing(tally, i))
            continue;
        missing++;
        if (at < size)
            at += (size_t)snprintf(text + at, size - at, " %s", rows[i].name);
    }
    return missing;
}

static double per(double value, double unit)
{
    return unit == 0 ? 0 : value / unit;
}

static void print_figures(const struct sim_tally *tally, FILE *out)
{
    const struct sim_coverage *coverage = &tally->coverage;
    double hours = (double)tally->simulated_us / 3.6e9, cpu_s = (double)tally->cpu_us / 1e6;
    double messages = (double)coverage->messages_delivered;
    fprintf(out, "\n%llu seeds, %.2f simulated hours", (unsigned long long)tally->seeds, hours);
    if (cpu_s > 0)
        fprintf(out, ", %.0f simulated hours an hour of one core", per(hours * 3600, cpu_s));
    fprintf(out, "\n%.0f messages delivered", messages);
    if (cpu_s > 0)
        fprintf(out, ", %.0f a second of one core", per(messages, cpu_s));
    fprintf(out, ", %.0f %% of them carry operations\n",
            100 * per((double)coverage->messages_with_operations, messages));
    fprintf(out, "%llu deaths of nodes, %llu partitions\n", (unsigned long long)coverage->deaths,
            (unsigned long long)(coverage->partitions + coverage->shapes + coverage->singled +
                                 coverage->ambush));
    fprintf(out,
            "%llu operations completed; of one seed: least %llu, 1 %% below %llu, median %llu, "
            "99 %% below %llu, most %llu\n",
            (unsigned long long)coverage->answered, (unsigned long long)tally->operations_least,
            (unsigned long long)percentile(tally, 1), (unsigned long long)percentile(tally, 50),
            (unsigned long long)percentile(tally, 99), (unsigned long long)tally->operations_most);
}

void sim_tally_print(const struct sim_tally *tally, FILE *out)
{
    for (uint32_t i = 0; i < ROW_COUNT; i++)
        fprintf(out, "%-24s %12llu%s\n", rows[i].name, (unsigned long long)counters(tally)[i],
                counters(tally)[i] > 0 ? ""
                : is_missing(tally, i) ? "  NEVER"
                                       : "  never");
    print_figures(tally, out);
}

/* ---- For a report: name=value, blanks between. */

void sim_tally_write(const struct sim_tally *tally, const char *commit, uint64_t first, FILE *out)
{
    fprintf(out,
            "commit=%s first=%llu seeds=%llu simulated_us=%llu cpu_us=%llu wall_us=%llu"
            " operations_least=%llu operations_most=%llu",
            commit, (unsigned long long)first, (unsigned long long)tally->seeds,
            (unsigned long long)tally->simulated_us, (unsigned long long)tally->cpu_us,
            (unsigned long long)tally->wall_us, (unsigned long long)tally->operations_least,
            (unsigned long long)tally->operations_most);
    for (uint32_t i = 0; i < ROW_COUNT; i++)
        fprintf(out, " %s=%llu", rows[i].name, (unsigned long long)counters(tally)[i]);
    for (uint32_t i = 0; i < SIM_TALLY_BUCKETS; i++) {
        if (tally->operations[i] != 0)
            fprintf(out, " operations_%u=%llu", i, (unsigned long long)tally->operations[i]);
    }
    fprintf(out, "\n");
}

static uint64_t *figure_of(struct sim_tally_line *line, const char *name)
{
    const struct {
        const char *name;
        uint64_t *value;
    } figures[] = {
        {"first", &line->first},
        {"seeds", &line->tally.seeds},
        {"simulated_us", &line->tally.simulated_us},
        {"cpu_us", &line->tally.cpu_us},
        {"wall_us", &line->tally.wall_us},
        {"operations_least", &line->tally.operations_least},
        {"operations_most", &line->tally.operations_most},
    };
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        if (strcmp(name, figures[i].name) == 0)
            return figures[i].value;
    }
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(name, rows[i].name) == 0)
            return &((uint64_t *)&line->tally.coverage)[i];
    }
    unsigned bucket;
    int end = 0;
    if (sscanf(name, "operations_%u%n", &bucket, &end) == 1 && name[end] == '\0' &&
        bucket < SIM_TALLY_BUCKETS)
        return &line->tally.operations[bucket];
    return NULL;
}

bool sim_tally_read(char *line, struct sim_tally_line *ret_line)
{
    memset(ret_line, 0, sizeof(*ret_line));
    char *rest;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        char *value = strchr(word, '='), *end;
        if (value == NULL)
            return false;
        *value++ = '\0';
        if (strcmp(word, "commit") == 0) {
            snprintf(ret_line->commit, sizeof(ret_line->commit), "%s", value);
            continue;
        }
        uint64_t *figure = figure_of(ret_line, word);
        if (figure == NULL)
            return false;
        *figure = strtoull(value, &end, 10);
        if (end == value || *end != '\0')
            return false;
    }
    return ret_line->tally.seeds > 0 && ret_line->commit[0] != '\0';
}

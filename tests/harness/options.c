#include "tests/harness/harness.h"

static uint64_t pick(struct base_prng *prng, uint64_t min, uint64_t max)
{
    return base_prng_range(prng, min, max);
}

static bool often(struct base_prng *prng, uint32_t per_mille)
{
    return base_prng_chance(prng, per_mille, 1000);
}

static void draw_rates(struct base_prng *prng, struct harness_options *options)
{
    struct consensus_config *config = &options->config;
    options->rate_min = (uint32_t)pick(prng, 500, 1000);
    options->rate_max = (uint32_t)pick(prng, 1000, 2000);
    if (!often(prng, 500))
        return;
    /* Leases trust clocks within the stated bound; without them clocks may do as they please. */
    config->clock_drift_per_mille = (uint32_t)pick(prng, 0, 200);
    options->rate_min = 1000 - config->clock_drift_per_mille / 2;
    options->rate_max = options->rate_min;
    while ((options->rate_max + 1) * (1000 - config->clock_drift_per_mille) <=
           options->rate_min * 1000)
        options->rate_max++;
    config->lease_ms = 1;
}

static void draw_config(struct base_prng *prng, struct harness_options *options)
{
    struct consensus_config *config = &options->config;
    draw_rates(prng, options);
    /* An election is two writes and four messages: who is given less time never finishes one. */
    uint64_t election_us =
        2 * (options->sync_us_max + 2 * options->delay_us_max + 2 * options->turn_us_max);
    uint64_t least_ms = election_us * options->rate_max / 1000000 + 30;
    config->election_timeout_ms = (uint32_t)pick(prng, least_ms, 2 * least_ms);
    config->heartbeat_interval_ms = config->election_timeout_ms / (uint32_t)pick(prng, 3, 6);
    config->retransmit_timeout_ms = (uint32_t)pick(prng, 10, 60);
    config->window_entries_max = (uint32_t)pick(prng, 1, often(prng, 300) ? 4 : 40);
    config->window_bytes_max = pick(prng, 64, 4096);
    config->cache_bytes_max = often(prng, 300) ? 0 : pick(prng, 100, 10000);
    config->message_bytes_max = pick(prng, 100, often(prng, 500) ? 400 : 10000);
    config->reads_max = (uint32_t)pick(prng, 1, 20);
    options->value_size_max = (uint32_t)pick(prng, 8, 200);
    if (config->lease_ms > 0)
        config->lease_ms = often(prng, 500)
                               ? config->election_timeout_ms - 1
                               : (uint32_t)pick(prng, 10, config->election_timeout_ms - 1);
}

void harness_options_draw(struct harness_options *options, uint64_t seed)
{
    struct base_prng drawn = base_prng_seeded(seed);
    struct base_prng *prng = &drawn;
    *options = (struct harness_options){.seed = seed};
    options->voters = often(prng, 500) ? 3 : often(prng, 500) ? 5 : (uint32_t)pick(prng, 1, 4);
    options->learners = often(prng, 150) ? 1 : 0;
    options->loss = often(prng, 300) ? 0 : (uint32_t)pick(prng, 0, 200);
    options->duplicates = often(prng, 300) ? 0 : (uint32_t)pick(prng, 0, 200);
    options->delay_us_min = pick(prng, 20, 500);
    options->delay_us_max = options->delay_us_min + pick(prng, 0, 10000);
    options->stragglers = often(prng, 400) ? (uint32_t)pick(prng, 1, 50) : 0;
    options->kept_by_cuts = often(prng, 500) ? (uint32_t)pick(prng, 50, 900) : 0;
    options->sync_us_min = pick(prng, 50, 1000);
    options->sync_us_max = options->sync_us_min + pick(prng, 0, 20000);
    options->turn_us_max = pick(prng, 0, 2000);
    options->fault_us_mean = pick(prng, 20000, 300000);
    options->client_us_mean = pick(prng, 1000, 15000);
    options->chaos_us = pick(prng, 3000000, 10000000);
    options->partitions = often(prng, 800);
    options->crashes = often(prng, 700);
    options->power_losses = often(prng, 600);
    options->pauses = often(prng, 400);
    options->transfers = often(prng, 500);
    options->trims = often(prng, 600);
    options->damage = often(prng, 150);
    options->real_log = often(prng, 250);
    draw_config(prng, options);
}

void harness_options_print(const struct harness_options *o, FILE *out)
{
    const struct consensus_config *c = &o->config;
    fprintf(out,
            "seed=%llu voters=%u learners=%u loss=%u duplicates=%u delay_us=%llu..%llu "
            "kept=%u stragglers=%u sync_us=%llu..%llu turn_us=%llu fault_us=%llu client_us=%llu "
            "chaos_us=%llu rate=%u..%u%s%s%s%s%s%s%s%s heartbeat=%u election=%u retransmit=%u "
            "lease=%u drift=%u window=%u/%zu cache=%zu message=%zu reads=%u value=%u\n",
            (unsigned long long)o->seed, o->voters, o->learners, o->loss, o->duplicates,
            (unsigned long long)o->delay_us_min, (unsigned long long)o->delay_us_max,
            o->kept_by_cuts, o->stragglers, (unsigned long long)o->sync_us_min,
            (unsigned long long)o->sync_us_max, (unsigned long long)o->turn_us_max,
            (unsigned long long)o->fault_us_mean, (unsigned long long)o->client_us_mean,
            (unsigned long long)o->chaos_us, o->rate_min, o->rate_max,
            o->partitions ? " partitions" : "", o->crashes ? " crashes" : "",
            o->power_losses ? " power" : "", o->pauses ? " pauses" : "",
            o->transfers ? " transfers" : "", o->trims ? " trims" : "", o->damage ? " damage" : "",
            o->real_log ? " log" : "", c->heartbeat_interval_ms, c->election_timeout_ms,
            c->retransmit_timeout_ms, c->lease_ms, c->clock_drift_per_mille, c->window_entries_max,
            c->window_bytes_max, c->cache_bytes_max, c->message_bytes_max, c->reads_max,
            o->value_size_max);
}

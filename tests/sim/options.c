#include <string.h>

#include "tests/sim/sim.h"

enum {
    FAULT_KINDS_MIN = 6,     /* Of those that come about in any run; one more than must. */
    LIMITS_VALUE_ROOM = 300, /* The largest value is so much larger than what is put. */
};

/* Kinds that need luck, or others: a torn sector a power loss, an old copy a crash and a peer. */
#define FAULT_BIT(name) (UINT64_C(1) << SIM_FAULT_##name)
static const uint64_t unsure_faults =
    FAULT_BIT(reorder) | FAULT_BIT(shapes) | FAULT_BIT(ambush) | FAULT_BIT(recovery) |
    FAULT_BIT(birth) | FAULT_BIT(torn) | FAULT_BIT(rot) | FAULT_BIT(state_rot) |
    FAULT_BIT(misdirected) | FAULT_BIT(lost_writes) | FAULT_BIT(lying) | FAULT_BIT(write_errors) |
    FAULT_BIT(sync_errors) | FAULT_BIT(log_full) | FAULT_BIT(drift) | FAULT_BIT(wipes) |
    FAULT_BIT(old_copies) | FAULT_BIT(quitters) | FAULT_BIT(slow_readers) | FAULT_BIT(garbage) |
    FAULT_BIT(late_copies) | FAULT_BIT(deposed) | FAULT_BIT(late_transfers) |
    FAULT_BIT(candidates) | FAULT_BIT(usurpers) | FAULT_BIT(latecomers);
/* For a while after these nothing else happens: they are not to drown the others. */
static const uint64_t quiet_faults = FAULT_BIT(wipes) | FAULT_BIT(old_copies);
#undef FAULT_BIT

static uint64_t pick(struct base_prng *prng, uint64_t min, uint64_t max)
{
    return base_prng_range(prng, min, max);
}

static bool often(struct base_prng *prng, uint32_t per_mille)
{
    return base_prng_chance(prng, per_mille, 1000);
}

static const char *const fault_names[] = {
#define SIM_FAULT_NAME(name, essential) #name,
    SIM_FAULT_LIST(SIM_FAULT_NAME)
#undef SIM_FAULT_NAME
};

bool sim_faults_parse(const char *text, uint64_t *ret_faults)
{
    uint64_t faults = 0;
    if (strcmp(text, "all") == 0)
        faults = SIM_FAULTS_ALL;
    else if (strcmp(text, "none") != 0) {
        if (*text == '\0')
            return false;
        while (*text != '\0') {
            size_t size = strcspn(text, ","), i = 0;
            while (i < SIM_FAULT_COUNT &&
                   (strlen(fault_names[i]) != size || strncmp(fault_names[i], text, size) != 0))
                i++;
            if (i == SIM_FAULT_COUNT)
                return false;
            faults |= UINT64_C(1) << i;
            text += size + (text[size] == ',');
        }
    }
    *ret_faults = faults;
    return true;
}

void sim_faults_print(uint64_t faults, FILE *out)
{
    bool first = true;
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        if ((faults >> i & 1) != 0)
            fprintf(out, "%s%s", first ? "" : ",", fault_names[i]);
        first &= (faults >> i & 1) == 0;
    }
    fputs(first ? "none" : "", out);
}

static void draw_timing(struct base_prng *prng, struct sim_options *options)
{
    struct shard_timing *timing = &options->node.timing;
    bool leased = often(prng, 500);
    /* Leases trust the clocks' rates within clock_drift_per_mille; reads by quorum trust nothing.
     */
    uint32_t drift = leased ? 24 : 100;
    options->rate_min = 1000 - (uint32_t)pick(prng, 0, drift);
    options->rate_max = 1000 + (uint32_t)pick(prng, 0, drift);
    /* An election is two writes and four messages: who is given less time never finishes one. */
    uint64_t election_us =
        2 * (2 * options->sync_us_max + 2 * options->delay_us_max + 2 * options->turn_us_max);
    uint64_t least_ms = election_us * options->rate_max / 1000000 + 50;
    timing->election_timeout_ms = (uint32_t)pick(prng, least_ms, 3 * least_ms);
    if (leased)
        options->lease_ms = (uint32_t)pick(prng, 10, timing->election_timeout_ms);
    timing->heartbeat_interval_ms = timing->election_timeout_ms / (uint32_t)pick(prng, 3, 6);
    timing->retransmit_timeout_ms = (uint32_t)pick(prng, 20, 100);
    timing->clock_drift_per_mille = 50;
    timing->window_entries_max = (uint32_t)pick(prng, 1, often(prng, 300) ? 4 : 256);
    timing->window_bytes_max = pick(prng, 1024, 1 << 20);
    timing->cache_bytes_max = often(prng, 500) ? 0 : pick(prng, 100, 20000);
    timing->message_bytes_max = pick(prng, 400, 100000);
    timing->reads_max = (uint32_t)pick(prng, 1, 64);
}

static void draw_node(struct base_prng *prng, struct sim_options *options)
{
    struct shard_node_config *node = &options->node;
    draw_timing(prng, options);
    node->apply_bytes_max = pick(prng, 64, 1 << 16);
    node->credit = (uint32_t)pick(prng, 2, often(prng, 300) ? 6 : 128);
    node->pending_max = node->credit * 8;
    node->read_batches_max = (uint32_t)pick(prng, 2, 64);
    node->flush_bytes = pick(prng, 1000, 100000);
    node->greeting_timeout_ms = (uint32_t)pick(prng, 200, 1000);
    options->sector_size = 128u << pick(prng, 0, 2);
    options->batch_size_max = 1u << pick(prng, 14, 16);
    options->segment_size = 4u * options->batch_size_max;
    /* No run fills it: a replica that lacks what all logs let go of has no way back yet. */
    node->log_size_max = 1024 * options->segment_size + 4 * node->flush_bytes;
    /* One is what nodes run with; more of them give deposed leaders more to leave behind. */
    static const uint32_t entries[] = {1, 2, 8, 64};
    node->entries_max = entries[options->seed / 4 % (sizeof(entries) / sizeof(entries[0]))];
    node->entry_bytes_max = options->batch_size_max - STORE_RECORD_HEADER_SIZE;
}

static uint32_t count_of(uint64_t faults)
{
    return (uint32_t)__builtin_popcountll(faults);
}

/* What is asked for, and the limits of who takes it; from numbers of its own as well. */
static void draw_workload(struct sim_options *options)
{
    struct base_prng drawn = base_prng_seeded(options->seed ^ UINT64_C(0x776F726B));
    struct base_prng *prng = &drawn;
    options->read_share = often(prng, 500) ? 300 : (uint32_t)pick(prng, 50, 950);
    /* Histories of registers that many write at once are beyond what a judge can tell apart. */
    options->kinds[SIM_KEY_REGISTER] = 1;
    for (uint32_t i = SIM_KEY_REGISTER + 1; i < SIM_KEY_KINDS; i++)
        options->kinds[i] = often(prng, 600) ? 1 : (uint32_t)pick(prng, 1, 20);
    options->hot_share = often(prng, 600) ? 0 : (uint32_t)pick(prng, 1, 900);
    if (often(prng, 100))
        options->value_size_max = (uint32_t)pick(prng, 200, SIM_VALUE_SIZE_MAX - 32);
    options->inflight_max = (uint32_t)pick(prng, 1, often(prng, 500) ? 32 : 1024);
    options->output_pause = (uint32_t)pick(prng, 1, often(prng, 500) ? 100 : 4096);
    options->router_message_max = (uint32_t)pick(prng, 400, often(prng, 500) ? 1000 : 65536);
}

/* The map's limits, and those of request records; from numbers of its own as well. A value must
 * fit, and a list of words: who appends more is told so. */
static void draw_limits(struct sim_options *options)
{
    struct base_prng drawn = base_prng_seeded(options->seed ^ UINT64_C(0x6C696D697473));
    struct base_prng *prng = &drawn;
    struct wire_limits *limits = &options->limits;
    bool small = often(prng, 400);
    limits->key_size_max =
        (uint32_t)pick(prng, SIM_KEY_SIZE_MAX, small ? 80 : SIM_LIMIT_KEY_SIZE_MAX);
    uint32_t least = options->value_size_max + LIMITS_VALUE_ROOM;
    limits->value_size_max = (uint32_t)pick(prng, least, small ? least + 200 : 8192);
    least = limits->key_size_max + limits->value_size_max + WIRE_REQUEST_HEADER_SIZE +
            WIRE_OP_HEADER_SIZE;
    limits->request_size_max = (uint32_t)pick(prng, least, small ? least + 100 : 13000);
    options->node.records_bytes_max = often(prng, 200) ? pick(prng, 2000, 200000) : 4 << 20;
    options->node.request_time_max_ms =
        often(prng, 500) ? pick(prng, options->request_timeout_ms / 2, 10000) : 60000;
}

/* All kinds, or any part of them; one or two of them may drown the others. From numbers of its own:
 * another kind of fault does not change the rest of a seed. */
static void draw_faults(struct sim_options *options)
{
    struct base_prng drawn = base_prng_seeded(options->seed ^ UINT64_C(0x6661756C74));
    struct base_prng *prng = &drawn;
    uint32_t share = often(prng, 100) ? 1000 : (uint32_t)pick(prng, 0, 900);
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        options->faults |= (uint64_t)often(prng, share) << i;
        options->weights[i] = (uint32_t)pick(prng, 1, 10);
    }
    while (count_of(options->faults & ~unsure_faults) < FAULT_KINDS_MIN)
        options->faults |= UINT64_C(1) << pick(prng, 0, SIM_FAULT_COUNT - 1);
    for (uint64_t i = pick(prng, 0, 2); i > 0; i--)
        options->weights[pick(prng, 0, SIM_FAULT_COUNT - 1)] = 100;
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
        options->weights[i] = (quiet_faults >> i & 1) != 0 ? 3 : options->weights[i];
    options->fault_us_mean = options->chaos_us / pick(prng, 20, 120);
}

void sim_options_draw(struct sim_options *options, uint64_t seed)
{
    struct base_prng drawn = base_prng_seeded(seed);
    struct base_prng *prng = &drawn;
    *options = (struct sim_options){.seed = seed};
    options->nodes = often(prng, 600) ? 3 : (uint32_t)pick(prng, 4, SIM_NODES_MAX);
    options->replicas = options->nodes == 5 && often(prng, 400) ? 5 : 3;
    options->groups = (uint32_t)pick(prng, 1, SIM_GROUPS_MAX - 1);
    options->routers = (uint32_t)pick(prng, 1, SIM_ROUTERS_MAX);
    options->clients = (uint32_t)pick(prng, 2, SIM_CLIENTS_MAX);
    options->vnode_bits = (uint32_t)pick(prng, 3, SIM_VNODE_BITS_MAX);
    options->loss = (uint32_t)pick(prng, 1, 100);
    options->duplicates = (uint32_t)pick(prng, 1, 100);
    options->stragglers = (uint32_t)pick(prng, 1, 50);
    options->delay_us_min = pick(prng, 20, 500);
    options->delay_us_max = options->delay_us_min + pick(prng, 0, 10000);
    options->sync_us_min = pick(prng, 50, 1000);
    options->sync_us_max = options->sync_us_min + pick(prng, 0, 10000);
    options->turn_us_max = pick(prng, 0, 2000);
    options->chaos_us =
        often(prng, 800) ? pick(prng, 10000000, 60000000) : pick(prng, 60000000, 180000000);
    options->wall_error_ms_max = often(prng, 500) ? 100 : 5000;
    options->busy = (uint32_t)pick(prng, 1, 100);
    options->keys = (uint32_t)pick(prng, 1, 6);
    options->value_size_max = (uint32_t)pick(prng, 8, 200);
    /* So that about as many messages carry operations as keep leaders alive. */
    options->think_us_mean = options->clients * pick(prng, 1500, 16000);
    options->request_timeout_ms = (uint32_t)pick(prng, 1000, 4000);
    options->silence_ms = (uint32_t)pick(prng, 100, 600);
    draw_node(prng, options);
    draw_workload(options);
    draw_limits(options);
    draw_faults(options);
}

/* How often each of the kinds that the run has, beside the others. */
static void print_weights(const struct sim_options *options, FILE *out)
{
    fprintf(out, " weights=");
    const char *comma = "";
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        if ((options->faults >> i & 1) == 0)
            continue;
        fprintf(out, "%s%u", comma, options->weights[i]);
        comma = ",";
    }
}

void sim_options_print(const struct sim_options *o, FILE *out)
{
    const struct shard_node_config *n = &o->node;
    const struct shard_timing *t = &n->timing;
    fprintf(out, "seed=%llu nodes=%u groups=%u replicas=%u routers=%u clients=%u vnode_bits=%u",
            (unsigned long long)o->seed, o->nodes, o->groups, o->replicas, o->routers, o->clients,
            o->vnode_bits);
    fprintf(out, " faults=");
    sim_faults_print(o->faults, out);
    print_weights(o, out);
    fprintf(out, " limits=%u/%u/%u records=%llu request_time_ms=%llu", o->limits.key_size_max,
            o->limits.value_size_max, o->limits.request_size_max,
            (unsigned long long)n->records_bytes_max, (unsigned long long)n->request_time_max_ms);
    fprintf(out,
            " loss=%u duplicates=%u stragglers=%u delay_us=%llu..%llu sync_us=%llu..%llu"
            " turn_us=%llu fault_us=%llu think_us=%llu chaos_us=%llu rate=%u..%u wall_ms=%llu"
            " busy=%u",
            o->loss, o->duplicates, o->stragglers, (unsigned long long)o->delay_us_min,
            (unsigned long long)o->delay_us_max, (unsigned long long)o->sync_us_min,
            (unsigned long long)o->sync_us_max, (unsigned long long)o->turn_us_max,
            (unsigned long long)o->fault_us_mean, (unsigned long long)o->think_us_mean,
            (unsigned long long)o->chaos_us, o->rate_min, o->rate_max,
            (unsigned long long)o->wall_error_ms_max, o->busy);
    fprintf(out,
            " reads=%u kinds=%u/%u/%u/%u/%u hot=%u inflight=%u output_pause=%u router_message=%u"
            " sector=%u segment=%llu batch=%u log_size_max=%llu flush_bytes=%llu keys=%u value=%u"
            " timeout_ms=%u silence_ms=%u lease_ms=%u heartbeat=%u election=%u retransmit=%u "
            "window=%u/%zu"
            " cache=%zu message=%zu reads_max=%u apply=%zu credit=%u read_batches=%u greeting=%u\n",
            o->read_share, o->kinds[0], o->kinds[1], o->kinds[2], o->kinds[3], o->kinds[4],
            o->hot_share, o->inflight_max, o->output_pause, o->router_message_max, o->sector_size,
            (unsigned long long)o->segment_size, o->batch_size_max,
            (unsigned long long)n->log_size_max, (unsigned long long)n->flush_bytes, o->keys,
            o->value_size_max, o->request_timeout_ms, o->silence_ms, o->lease_ms,
            t->heartbeat_interval_ms, t->election_timeout_ms, t->retransmit_timeout_ms,
            t->window_entries_max, t->window_bytes_max, t->cache_bytes_max, t->message_bytes_max,
            t->reads_max, n->apply_bytes_max, n->credit, n->read_batches_max,
            n->greeting_timeout_ms);
}

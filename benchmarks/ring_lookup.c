/*
 * What routing one key costs: its hash, its token (the hash again plus the search for a tag) and
 * the lookup of the token's owner, each in nanoseconds. Every operation depends on the one before,
 * so this is latency, not throughput.
 *
 *   bazel run //benchmarks:ring_lookup
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "ring/planner.h"
#include "ring/ring.h"

enum { ROUND_COUNT = 20 * 1000 * 1000, GROUP_COUNT = 64, KEY_SIZE = 16 };

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void report(const char *what, double began_ns, uint64_t sink)
{
    double each_ns = (now_ns() - began_ns) / ROUND_COUNT;
    printf("%-24s %6.2f ns  (sink %" PRIx64 ")\n", what, each_ns, sink);
}

static struct ring *make_ring(void)
{
    static struct ring_group_weight groups[GROUP_COUNT];
    static uint32_t assigned[RING_VNODE_COUNT_DEFAULT];
    static struct ring_owner owners[RING_VNODE_COUNT_DEFAULT];
    for (uint32_t g = 0; g < GROUP_COUNT; g++)
        groups[g] = (struct ring_group_weight){.group = g + 1, .weight = 1};
    enum torc_status status = ring_plan_initial(base_allocator_system(), groups, GROUP_COUNT,
                                                RING_VNODE_COUNT_DEFAULT, assigned);
    TORC_ASSERT(status == TORC_OK);
    for (uint32_t v = 0; v < RING_VNODE_COUNT_DEFAULT; v++)
        owners[v] = (struct ring_owner){.epoch = 1, .group = assigned[v]};
    struct ring *ring = NULL;
    status = ring_new(base_allocator_system(), 1, owners, RING_VNODE_COUNT_DEFAULT, &ring);
    TORC_ASSERT(status == TORC_OK);
    return ring;
}

int main(void)
{
    struct ring *ring = make_ring();
    uint8_t key[KEY_SIZE] = "user:00000000000";
    uint64_t sink = 1;

    double began_ns = now_ns();
    for (uint32_t i = 0; i < ROUND_COUNT; i++) {
        base_put_le64(key + 8, sink | 0x8080808080808080); /* Never a brace. */
        sink = base_hash(base_bytes_of(key, KEY_SIZE));
    }
    report("hash, 16-byte key", began_ns, sink);

    began_ns = now_ns();
    for (uint32_t i = 0; i < ROUND_COUNT; i++) {
        base_put_le64(key + 8, sink | 0x8080808080808080);
        sink = ring_token(base_bytes_of(key, KEY_SIZE), RING_VNODE_BITS_DEFAULT);
    }
    report("token, 16-byte key", began_ns, sink);

    /* The multiplication that makes the next token costs about 1 ns and is counted too. */
    began_ns = now_ns();
    for (uint32_t i = 0; i < ROUND_COUNT; i++)
        sink = (sink + ring_lookup(ring, sink)) * 0x9E3779B97F4A7C15u;
    report("lookup", began_ns, sink);

    ring_free(ring);
    return 0;
}

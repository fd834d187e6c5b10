/* Routing one key: its hash, its token (the hash and the search for a tag) and the token's owner.
 * Every operation depends on the one before, so this is latency, not throughput. */
#include <inttypes.h>

#include "base/assert.h"
#include "base/hash.h"
#include "benchmarks/micro/part.h"
#include "ring/planner.h"
#include "ring/ring.h"

enum { GROUP_COUNT = 64 };

struct routing {
    const struct base_allocator *allocator;
    struct ring *ring;
    uint8_t key[PART_KEY_SIZE];
    uint64_t last;
};

static struct ring *make_ring(const struct base_allocator *allocator)
{
    static struct ring_group_weight groups[GROUP_COUNT];
    static uint32_t assigned[RING_VNODE_COUNT_DEFAULT];
    static struct ring_owner owners[RING_VNODE_COUNT_DEFAULT];
    for (uint32_t g = 0; g < GROUP_COUNT; g++)
        groups[g] = (struct ring_group_weight){.group = g + 1, .weight = 1};
    enum torc_status status =
        ring_plan_initial(allocator, groups, GROUP_COUNT, RING_VNODE_COUNT_DEFAULT, assigned);
    TORC_ASSERT(status == TORC_OK);
    for (uint32_t v = 0; v < RING_VNODE_COUNT_DEFAULT; v++)
        owners[v] = (struct ring_owner){.epoch = 1, .group = assigned[v]};
    struct ring *ring = NULL;
    status = ring_new(allocator, 1, owners, RING_VNODE_COUNT_DEFAULT, &ring);
    TORC_ASSERT(status == TORC_OK);
    return ring;
}

static void *begin(const struct base_allocator *allocator, const char *folder, unsigned width)
{
    (void)folder;
    (void)width;
    struct routing *routing = base_alloc(allocator, sizeof(*routing));
    *routing = (struct routing){
        .allocator = allocator, .ring = make_ring(allocator), .key = "user:0000000000", .last = 1};
    return routing;
}

static void end(void *context)
{
    struct routing *routing = context;
    ring_free(routing->ring);
    base_free(routing->allocator, routing, sizeof(*routing));
}

/* A key that the last result makes, and that never has a brace. */
static struct base_bytes next_key(struct routing *routing)
{
    base_put_le64(routing->key + 8, routing->last | 0x8080808080808080);
    return base_bytes_of(routing->key, PART_KEY_SIZE);
}

static void run_hash(void *context)
{
    struct routing *routing = context;
    routing->last = base_hash(next_key(routing));
}

static void run_token(void *context)
{
    struct routing *routing = context;
    routing->last = ring_token(next_key(routing), RING_VNODE_BITS_DEFAULT);
}

/* The multiplication that makes the next token costs about 1 ns and is counted too. */
static void run_lookup(void *context)
{
    struct routing *routing = context;
    routing->last =
        (routing->last + ring_lookup(routing->ring, routing->last)) * 0x9E3779B97F4A7C15u;
}

const struct part parts_ring[] = {
    {"hash of a key", 1, begin, run_hash, end},
    {"token of a key", 1, begin, run_token, end},
    {"ring lookup", 1, begin, run_lookup, end},
    {NULL, 0, NULL, NULL, NULL},
};

#include "tests/sim/ledger.h"

#include <string.h>

#include "base/assert.h"
#include "shard/placement.h"

#define GROW(ledger, array, capacity, count)                                                       \
    ((array) =                                                                                     \
         base_array_reserve((ledger)->allocator, (array), &(capacity), (count), sizeof(*(array))))

/* The placement group begins with an entry that the tool brought: it is chosen from the start. */
static void choose_first_map(struct sim *sim)
{
    struct base_bytes first;
    shard_placement_first_entry(&sim->map, sim->allocator, &first);
    struct base_ballot origin = {.round = 1};
    uint64_t value = ledger_value(CONSENSUS_VALUE, origin, first);
    base_free(sim->allocator, (void *)(uintptr_t)first.data, first.size);
    struct ledger_slot *slot = ledger_slot(sim->ledger, SHARD_PLACEMENT_GROUP, 1);
    ledger_add(sim->ledger, slot,
               &(struct ledger_proposal){
                   .ballot = origin, .origin = origin, .kind = CONSENSUS_VALUE, .value = value});
    slot->chosen = value;
    sim->ledger->groups[SHARD_PLACEMENT_GROUP].chosen = 1;
}

void ledger_init(struct sim *sim)
{
    struct ledger *ledger = base_alloc_zero(sim->allocator, sizeof(*ledger));
    sim->ledger = ledger;
    ledger->allocator = sim->allocator;
    ledger->now_us = &sim->now_us;
    ledger->proposal_count = 1;
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        const struct shard_map_group *members = &sim->map.groups[g];
        for (uint32_t i = 0; i < members->replica_count; i++) {
            const struct shard_map_replica *member = &members->replicas[i];
            ledger->groups[g].replicas[member->node - 1] =
                (struct ledger_replica){.id = member->id, .voter = member->voter};
            ledger->groups[g].voters |= (uint32_t)member->voter << (member->node - 1);
        }
    }
    choose_first_map(sim);
}

void ledger_fini(struct sim *sim)
{
    struct ledger *ledger = sim->ledger;
    for (uint32_t g = 0; g < SIM_GROUPS_MAX; g++) {
        struct ledger_group *group = &ledger->groups[g];
        base_array_free(sim->allocator, group->slots, &group->slots_capacity,
                        sizeof(*group->slots));
        base_array_free(sim->allocator, group->answered, &group->answered_capacity,
                        sizeof(*group->answered));
        base_array_free(sim->allocator, group->ruled, &group->ruled_capacity,
                        sizeof(*group->ruled));
        base_array_free(sim->allocator, group->ballots, &group->ballots_capacity,
                        sizeof(*group->ballots));
    }
    base_array_free(sim->allocator, ledger->proposals, &ledger->proposals_capacity,
                    sizeof(*ledger->proposals));
    check_codec_fini(sim);
    struct ledger_effects *effects = &ledger->effects;
    base_array_free(sim->allocator, effects->list, &effects->capacity, sizeof(*effects->list));
    base_free(sim->allocator, effects->table, effects->table_size * sizeof(*effects->table));
    base_array_free(sim->allocator, ledger->maps, &ledger->maps_capacity, sizeof(*ledger->maps));
    base_array_free(sim->allocator, ledger->found, &ledger->found_capacity, sizeof(*ledger->found));
    base_array_free(sim->allocator, ledger->entries, &ledger->entries_capacity,
                    sizeof(*ledger->entries));
    base_free(sim->allocator, ledger, sizeof(*ledger));
    sim->ledger = NULL;
}

uint64_t ledger_value(enum consensus_entry_kind kind, struct base_ballot origin,
                      struct base_bytes bytes)
{
    uint64_t seed = (origin.round << 32 ^ (uint64_t)origin.node << 24 ^ origin.incarnation) *
                        UINT64_C(0x9E3779B97F4A7C15) +
                    (uint64_t)kind;
    uint64_t value =
        bytes.size == 0 ? seed * UINT64_C(0xBF58476D1CE4E5B9) : base_hash_seeded(bytes, seed);
    return value == 0 ? 1 : value;
}

struct ledger_slot *ledger_slot(struct ledger *ledger, uint32_t group, uint64_t slot)
{
    struct ledger_group *in = &ledger->groups[group];
    size_t before = in->slots_capacity;
    if (slot >= before) {
        GROW(ledger, in->slots, in->slots_capacity, slot + 1);
        memset(in->slots + before, 0, (in->slots_capacity - before) * sizeof(*in->slots));
    }
    return &in->slots[slot];
}

const struct ledger_proposal *ledger_proposal(const struct ledger *ledger, uint32_t number)
{
    TORC_ASSERT(number > 0 && number < ledger->proposal_count);
    return &ledger->proposals[number];
}

uint32_t ledger_find(const struct ledger *ledger, const struct ledger_slot *slot,
                     struct base_ballot ballot)
{
    uint32_t number = slot->proposals;
    while (number != 0 && !base_ballot_equal(ledger->proposals[number].ballot, ballot))
        number = ledger->proposals[number].next;
    return number;
}

uint32_t ledger_add(struct ledger *ledger, struct ledger_slot *slot,
                    const struct ledger_proposal *proposal)
{
    uint32_t number = (uint32_t)ledger->proposal_count++;
    GROW(ledger, ledger->proposals, ledger->proposals_capacity, ledger->proposal_count);
    ledger->proposals[number] = *proposal;
    ledger->proposals[number].next = slot->proposals;
    slot->proposals = number;
    return number;
}

struct ledger_replica *ledger_replica(struct ledger *ledger, uint32_t group, uint32_t node)
{
    if (group >= SIM_GROUPS_MAX || node >= SIM_NODES_MAX)
        return NULL;
    struct ledger_replica *replica = &ledger->groups[group].replicas[node];
    return replica->id == 0 ? NULL : replica;
}

bool ledger_quorum(const struct ledger_group *group, uint32_t nodes)
{
    int voters = __builtin_popcount(group->voters);
    return 2 * __builtin_popcount(nodes & group->voters) > voters;
}

struct ledger_ballot *ledger_ballot(struct ledger *ledger, uint32_t group,
                                    struct base_ballot ballot)
{
    struct ledger_group *in = &ledger->groups[group];
    for (size_t i = in->ballot_count; i > 0; i--) {
        if (base_ballot_equal(in->ballots[i - 1].ballot, ballot))
            return &in->ballots[i - 1];
    }
    GROW(ledger, in->ballots, in->ballots_capacity, in->ballot_count + 1);
    in->ballots[in->ballot_count] = (struct ledger_ballot){.ballot = ballot};
    return &in->ballots[in->ballot_count++];
}

static void note_rule(struct ledger *ledger, struct ledger_group *group, struct base_ballot ballot)
{
    size_t count = group->ruled_count;
    if (count > 0 && base_ballot_compare(ballot, group->ruled[count - 1].ballot) <= 0)
        return;
    GROW(ledger, group->ruled, group->ruled_capacity, count + 1);
    group->ruled[group->ruled_count++] =
        (struct ledger_ruled){.at_us = *ledger->now_us, .ballot = ballot};
}

bool ledger_accepted(struct ledger *ledger, uint32_t group, uint64_t slot, uint32_t proposal,
                     uint32_t node)
{
    struct ledger_group *in = &ledger->groups[group];
    struct ledger_proposal *accepted = &ledger->proposals[proposal];
    accepted->holders |= 1u << node;
    struct ledger_slot *at = &in->slots[slot];
    if (!ledger_quorum(in, accepted->holders) || at->chosen == accepted->value)
        return true;
    if (at->chosen != 0)
        return false;
    at->chosen = accepted->value;
    note_rule(ledger, in, accepted->ballot);
    while (in->chosen + 1 < in->slots_capacity && in->slots[in->chosen + 1].chosen != 0)
        in->chosen++;
    return true;
}

bool ledger_is_solid(struct ledger *ledger, uint32_t group, uint32_t node, uint64_t slot)
{
    struct ledger_group *in = &ledger->groups[group];
    struct ledger_replica *replica = &in->replicas[node];
    if (slot > in->chosen)
        return false;
    while (replica->solid < slot) {
        const struct ledger_slot *next = &in->slots[replica->solid + 1];
        uint32_t held = next->held[node];
        if (held == 0 || ledger->proposals[held].value != next->chosen)
            return false;
        replica->solid++;
    }
    return true;
}

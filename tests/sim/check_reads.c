/* A read sees all that was answered before it was asked, whatever its key: the state that it was
 * answered from holds the slot of every write of its group that any node had answered; and who
 * answers it leads. So also a read whose key nobody writes tells of a leader that is none. */
#include "ring/token.h"
#include "tests/sim/ledger.h"

/* The group that has the request's record, or all of its keys: that of the first key that it
 * writes, or else reads; the placement group: none. */
uint32_t check_reads_group(const struct sim *sim, const struct wire_request *request)
{
    struct wire_op op, first = {.key = {NULL, 0}};
    size_t cursor = 0;
    bool writes = false;
    while (!writes && wire_op_next(request, &cursor, &op)) {
        writes = wire_op_writes(op.type);
        first = writes || first.key.size == 0 ? op : first;
    }
    if (first.key.size == 0)
        return SHARD_PLACEMENT_GROUP;
    uint64_t token = ring_token(first.key, sim->options.vnode_bits);
    return sim->map.owners[ring_vnode(token, sim->options.vnode_bits)];
}

/* A write that is answered was executed in this slot, which its record tells. */
void check_reads_written(struct sim *sim, uint32_t group, uint64_t slot)
{
    struct ledger_group *in = &sim->ledger->groups[group];
    if (in->answered_count > 0 && slot <= in->answered[in->answered_count - 1].slot)
        return;
    in->answered = base_array_reserve(sim->allocator, in->answered, &in->answered_capacity,
                                      in->answered_count + 1, sizeof(*in->answered));
    in->answered[in->answered_count++] =
        (struct ledger_answered){.at_us = sim->now_us, .slot = slot};
}

static uint64_t answered_before(const struct ledger_group *group, uint64_t at_us)
{
    size_t low = 0, high = group->answered_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (group->answered[middle].at_us < at_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : group->answered[low - 1].slot;
}

/* No leader is asked, and answers, after something was chosen at a ballot above its own: a quorum
 * has promised that one, so neither a round nor a lease can be had under this. */
static void check_leader(struct sim *sim, const struct sim_host *host, uint32_t group,
                         uint64_t asked_us)
{
    const struct ledger_group *in = &sim->ledger->groups[group];
    struct consensus_info info;
    if (!shard_node_replica_info(host->node, group, &info) || info.role != CONSENSUS_LEADER)
        return; /* It stepped down in this very turn. */
    for (size_t i = in->ruled_count; i > 0; i--) {
        const struct ledger_ruled *ruled = &in->ruled[i - 1];
        if (base_ballot_compare(ruled->ballot, info.ballot) <= 0)
            return;
        if (ruled->at_us < asked_us)
            sim_fail(sim, "reads",
                     "group %u: node %u reads as leader of round %llu; round %llu of node %u had "
                     "chosen %llu us before it was asked",
                     group, host->id, (unsigned long long)info.ballot.round,
                     (unsigned long long)ruled->ballot.round, ruled->ballot.node,
                     (unsigned long long)(asked_us - ruled->at_us));
    }
}

void check_read(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t asked_us)
{
    if (group == SHARD_PLACEMENT_GROUP)
        return;
    uint64_t least = answered_before(&sim->ledger->groups[group], asked_us);
    sim->coverage->reads_checked++;
    check_leader(sim, host, group, asked_us);
    if (host->applied[group] < least)
        sim_fail(sim, "reads",
                 "group %u: node %u reads at slot %llu, and slot %llu was answered %llu us before",
                 group, host->id, (unsigned long long)host->applied[group],
                 (unsigned long long)least, (unsigned long long)(sim->now_us - asked_us));
}

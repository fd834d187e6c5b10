#include "paxos/consensus.h"

#include "base/assert.h"

static bool members_valid(const struct consensus_config *config)
{
    bool self = false;
    uint32_t voters = 0;
    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct consensus_member *member = &config->members[i];
        if (member->replica == 0 || member->node == 0)
            return false;
        for (uint32_t j = 0; j < i; j++) {
            if (config->members[j].replica >= member->replica)
                return false;
            if (config->members[j].node == member->node)
                return false;
        }
        self |= member->replica == config->replica && member->node == config->node;
        voters += member->voter;
    }
    return self && voters > 0;
}

static bool times_valid(const struct consensus_config *config)
{
    if (config->heartbeat_interval_ms == 0 || config->retransmit_timeout_ms == 0)
        return false;
    if (config->election_timeout_ms / 3 < config->heartbeat_interval_ms)
        return false;
    return config->lease_ms < config->election_timeout_ms && config->clock_drift_per_mille < 1000;
}

enum torc_status consensus_config_check(const struct consensus_config *config)
{
    if (config->member_count == 0 || config->member_count > CONSENSUS_MEMBERS_MAX)
        return TORC_INVALID;
    if (config->incarnation == 0 || !members_valid(config) || !times_valid(config))
        return TORC_INVALID;
    if (config->window_entries_max == 0 || config->window_entries_max > CONSENSUS_WINDOW_MAX)
        return TORC_INVALID;
    if (config->window_bytes_max == 0 || config->message_bytes_max == 0 || config->reads_max == 0)
        return TORC_INVALID;
    return TORC_OK;
}

struct consensus *consensus_new(const struct consensus_type *type,
                                const struct base_allocator *allocator,
                                const struct consensus_config *config,
                                const struct consensus_boot *boot, uint64_t now_ms)
{
    TORC_ASSERT(consensus_config_check(config) == TORC_OK);
    struct consensus *machine = type->create(allocator, config, boot, now_ms);
    TORC_ASSERT(machine->type == type);
    return machine;
}

void consensus_free(struct consensus *machine)
{
    if (machine != NULL)
        machine->type->destroy(machine);
}

enum torc_status consensus_step(struct consensus *machine, const struct consensus_event *event)
{
    enum torc_status status = machine->type->step(machine, event);
    switch (event->type) {
    case CONSENSUS_PROPOSE:
    case CONSENSUS_READ:
        TORC_ASSERT(status == TORC_OK || status == TORC_NOT_LEADER || status == TORC_FULL);
        break;
    case CONSENSUS_RECEIVE:
        TORC_ASSERT(status == TORC_OK || status == TORC_STALE || status == TORC_MALFORMED);
        break;
    case CONSENSUS_TRANSFER:
        TORC_ASSERT(status == TORC_OK || status == TORC_NOT_LEADER || status == TORC_NOT_FOUND);
        break;
    default:
        TORC_ASSERT(status == TORC_OK);
    }
    return status;
}

void consensus_ready(struct consensus *machine, struct consensus_ready *ret_ready)
{
    machine->type->ready(machine, ret_ready);
}

bool consensus_lease_holds(const struct consensus *machine, uint64_t now_ms)
{
    return machine->type->lease_holds(machine, now_ms);
}

void consensus_info(const struct consensus *machine, struct consensus_info *ret_info)
{
    machine->type->info(machine, ret_info);
}

uint32_t consensus_progress(const struct consensus *machine,
                            struct consensus_progress *ret_progress)
{
    return machine->type->progress(machine, ret_progress);
}

const struct consensus_counters *consensus_counters(const struct consensus *machine)
{
    return machine->type->counters(machine);
}

void consensus_check(const struct consensus *machine)
{
    machine->type->check(machine);
}

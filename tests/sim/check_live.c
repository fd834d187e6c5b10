/* Every request gets its outcome in time, always; and once healed all comes to rest. */
#include <string.h>

#include "tests/sim/clients.h"

enum { CHECK_CLOCK_US = 50000, CHECK_LATE_US = 2000000, CHECK_JOINED_SHARE = 8 };

/* A whole router also begins only so many operations of all its clients, fewer where one command on
 * several keys waits for room; and those that somebody left behind come first. */
static uint32_t rounds_of_all(const struct sim *sim)
{
    uint32_t most = sim->options.inflight_max, together = CLIENT_TOGETHER_MAX;
    uint32_t at_once = most > together ? most - together + 1 : 1;
    return SIM_CLIENTS_MAX * SIM_TASKS_MAX / at_once + 1;
}

void check_outcome_in_time(struct sim *sim, const struct sim_task *task)
{
    const struct sim_router *router = &sim->routers[sim->clients[task->client].router];
    uint64_t deaf_us = sim->clients[task->client].stream->deaf_until_us;
    uint64_t from_us = task->asked_us > deaf_us ? task->asked_us : deaf_us;
    /* A whole router begins only so many commands of a connection, and none while so much of what
     * it has answered is unread as one value may have: then the next. */
    uint32_t rounds = router->is_whole ? task->index + 1 : 1;
    if (router->is_whole)
        rounds += rounds_of_all(sim);
    uint64_t most_us = 1000ull * sim->options.request_timeout_ms * rounds + CHECK_LATE_US;
    if (sim->now_us - from_us > most_us)
        sim_fail(sim, "liveness", "client %u waited %llu us for an outcome", task->client + 1,
                 (unsigned long long)(sim->now_us - task->asked_us));
}

#define FAULT_BIT(name) (UINT64_C(1) << SIM_FAULT_##name)
static const uint64_t blurring = FAULT_BIT(clocks) | FAULT_BIT(jumps) | FAULT_BIT(drift) |
                                 FAULT_BIT(slow_links) | FAULT_BIT(stragglers) | FAULT_BIT(pauses) |
                                 FAULT_BIT(long_pauses) | FAULT_BIT(slow_nodes);
#undef FAULT_BIT

/* How long a request must be tried. One that joined a request of others has what was left of its
 * deadline: nobody joins one older than this share of it. What its group calls too late may be so
 * at once where clocks are wrong, or a router hears of them late; else it has what its group lets a
 * router give it. */
static uint64_t least_wait_us(const struct sim *sim, const struct sim_task *task, bool too_late)
{
    uint64_t all_us = 1000ull * sim->options.request_timeout_ms;
    uint64_t least_us = task->timeout_us != 0 ? task->timeout_us : all_us;
    uint64_t most_us = 1000ull * sim->options.node.request_time_max_ms;
    least_us -= least_us / CHECK_JOINED_SHARE;
    if (!too_late)
        return least_us;
    if ((sim->options.faults & blurring) != 0)
        return 0;
    least_us = least_us < most_us / 2 ? least_us : most_us / 2;
    return least_us > CHECK_CLOCK_US ? least_us - CHECK_CLOCK_US : 0;
}

void check_outcome_not_early(struct sim *sim, const struct sim_task *task,
                             const struct router_outcome *outcome)
{
    bool given_up = outcome->type == ROUTER_UNKNOWN || outcome->type == ROUTER_NOTHING_DONE;
    bool too_late = outcome->reason != NULL &&
                    strncmp(outcome->reason, CLIENT_TOO_LATE, strlen(CLIENT_TOO_LATE)) == 0;
    uint64_t waited_us = sim->now_us - task->asked_us;
    if (given_up && waited_us < least_wait_us(sim, task, too_late))
        sim_fail(sim, "deadline",
                 "client %u is told after %llu us that operation %d on %s is given up",
                 task->client + 1, (unsigned long long)waited_us, (int)task->op.type,
                 sim->keys[task->key].name);
}

static bool group_at_rest(struct sim *sim, uint32_t group)
{
    const struct sim_host *leads = host_leader(sim, group);
    struct consensus_info leader;
    /* Others may hold entries beyond, of leaders that are no more. */
    if (leads == NULL || !shard_node_replica_info(leads->node, group, &leader) ||
        leader.last != leader.chosen)
        return false;
    /* S14: no lock without an attempt that lives, and none lives here. */
    struct shard_machine_info state;
    if (shard_node_machine_info(leads->node, group, &state) &&
        state.txn_prepared + state.txn_unfinished > 0)
        return false;
    const struct shard_map_group *members = &sim->map.groups[group];
    for (uint32_t i = 0; i < members->replica_count; i++) {
        const struct sim_host *host = &sim->hosts[members->replicas[i].node - 1];
        struct consensus_info info;
        if (host->lost || ((host->amnesiac | host->rotten | host->unborn) >> group & 1) != 0)
            continue; /* It may be behind, or away. */
        if (host->node == NULL)
            return false;
        if (!shard_node_replica_info(host->node, group, &info)) {
            if (host->late && host->life > 1)
                continue; /* It fell too early for this one. */
            return false;
        }
        if (host->applied[group] != leader.last)
            return false;
    }
    return true;
}

bool check_at_rest(struct sim *sim)
{
    if (!client_all_read(sim))
        return false;
    for (uint32_t i = 0; i < sim->options.routers; i++) {
        if (router_courier_inflight(sim_router_courier(&sim->routers[i])) > 0)
            return false;
    }
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        if (!group_at_rest(sim, g))
            return false;
    }
    return true;
}

void check_live_report(struct sim *sim)
{
    fprintf(stderr, "keys read: %u of %u\n", sim->keys_read, sim->key_count);
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        const struct sim_host *host = &sim->hosts[i];
        for (uint32_t g = 0; g <= sim->options.groups; g++) {
            struct consensus_info info;
            if (host->node == NULL || !shard_node_replica_info(host->node, g, &info))
                continue;
            fprintf(stderr,
                    "node %u group %u: role %d leader %llu%s chosen %llu applied %llu/%llu last "
                    "%llu%s\n",
                    host->id, g, (int)info.role, (unsigned long long)info.leader,
                    info.serving ? " serving" : "", (unsigned long long)info.chosen,
                    (unsigned long long)info.applied, (unsigned long long)host->applied[g],
                    (unsigned long long)info.last,
                    info.behind_compaction ? " behind compaction" : "");
        }
    }
    for (uint32_t i = 0; i < sim->options.clients * SIM_TASKS_MAX; i++) {
        const struct sim_client *client = &sim->clients[i / SIM_TASKS_MAX];
        const struct sim_task *task = &client->tasks[i % SIM_TASKS_MAX];
        if (task->busy)
            fprintf(stderr, "client %u waits at router %u for key %s since %llu us\n",
                    client->index + 1, client->router + 1, sim->keys[task->key].name,
                    (unsigned long long)task->asked_us);
    }
}

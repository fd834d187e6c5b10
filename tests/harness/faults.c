/* What goes wrong, drawn from the seed; and the clients, who only ask. */
#include "tests/harness/harness.h"

static struct harness_node *any_node(struct harness *harness)
{
    return &harness->nodes[harness_draw(harness, 0, harness->node_count - 1)];
}

static struct harness_node *role_or_any(struct harness *harness, enum consensus_role role)
{
    for (uint32_t i = 0; i < harness->node_count; i++) {
        struct harness_node *node = &harness->nodes[i];
        struct consensus_info info;
        if (node->machine == NULL)
            continue;
        node_info(node, &info);
        if (info.role == role && harness_chance(harness, 700))
            return node;
    }
    return any_node(harness);
}

static struct harness_node *leader_or_any(struct harness *harness)
{
    return role_or_any(harness, CONSENSUS_LEADER);
}

static void cut_none(struct harness *harness)
{
    for (uint32_t i = 0; i < harness->node_count; i++) {
        for (uint32_t j = 0; j < harness->node_count; j++)
            harness->cut[i][j] = false;
    }
}

static void cut_links(struct harness *harness, uint32_t per_mille)
{
    for (uint32_t i = 0; i < harness->node_count; i++) {
        for (uint32_t j = 0; j < harness->node_count; j++)
            harness->cut[i][j] = harness_chance(harness, per_mille);
    }
}

void harness_cut(struct harness *harness, enum harness_shape shape, uint32_t one)
{
    cut_none(harness);
    for (uint32_t i = 0; i < harness->node_count; i++) {
        for (uint32_t j = 0; j < harness->node_count; j++) {
            bool cut = false;
            if (shape == HARNESS_ALONE)
                cut = (i == one) != (j == one);
            else if (shape == HARNESS_MUTE)
                cut = i == one;
            else if (shape == HARNESS_DEAF)
                cut = j == one;
            else if (shape == HARNESS_HUB)
                cut = i != one && j != one;
            else if (shape == HARNESS_CHAIN)
                cut = i > j + 1 || j > i + 1;
            harness->cut[i][j] = cut;
        }
    }
}

static void partition(struct harness *harness)
{
    uint32_t one = leader_or_any(harness)->index, other = any_node(harness)->index;
    harness->coverage->partitions++;
    uint64_t drawn = harness_draw(harness, 0, 9);
    if (drawn <= HARNESS_CHAIN) {
        harness_cut(harness, (enum harness_shape)drawn, one);
    } else if (drawn == HARNESS_CHAIN + 1) { /* Two sides. */
        uint32_t side = (uint32_t)harness_draw(harness, 0, 63);
        for (uint32_t i = 0; i < harness->node_count; i++) {
            for (uint32_t j = 0; j < harness->node_count; j++)
                harness->cut[i][j] = (side >> i & 1) != (side >> j & 1);
        }
    } else if (drawn == HARNESS_CHAIN + 2) { /* Some links, some only one way. */
        cut_links(harness, 300);
    } else { /* One link. */
        cut_none(harness);
        harness->cut[one][other] = harness->cut[other][one] = true;
    }
}

static void crash_for(struct harness *harness, struct harness_node *node, bool power,
                      uint64_t down_us)
{
    if (node->machine == NULL)
        return;
    if (power)
        harness->coverage->power_losses++;
    else
        harness->coverage->process_crashes++;
    node_crash(harness, node, power);
    harness_push(harness, (struct harness_event){.at_us = harness->now_us + down_us,
                                                 .type = HARNESS_RESTART,
                                                 .node = node->index});
}

static void crash(struct harness *harness, struct harness_node *node, bool power)
{
    static const uint64_t down_us_max[] = {1000, 10000, 100000, 1000000};
    crash_for(harness, node, power,
              harness_draw(harness, 100, down_us_max[harness_draw(harness, 0, 3)]));
}

/* Somebody who lost touch with the leader canvasses for a while; then the leader is cut off, and a
 * replica that hears them both restarts: it must not have forgotten what it granted. */
static void ambush(struct harness *harness)
{
    uint32_t leader = leader_or_any(harness)->index, other = any_node(harness)->index;
    uint64_t election_us = (uint64_t)harness->options.config.election_timeout_ms * 1000;
    cut_none(harness);
    harness->cut[leader][other] = harness->cut[other][leader] = true;
    harness->coverage->ambushes++;
    harness_push(harness, (struct harness_event){.at_us = harness->now_us +
                                                          harness_draw(harness, 0, 4 * election_us),
                                                 .type = HARNESS_AMBUSH,
                                                 .node = any_node(harness)->index,
                                                 .a = leader});
}

void faults_ambush(struct harness *harness, const struct harness_event *event)
{
    if (harness->healed || event->node == event->a)
        return;
    harness_cut(harness, HARNESS_ALONE, (uint32_t)event->a);
    crash_for(harness, &harness->nodes[event->node], false, harness_draw(harness, 100, 1000));
}

static void crash_some(struct harness *harness, bool power)
{
    if (harness_chance(harness, 250)) {
        for (uint32_t i = 0; i < harness->node_count; i++)
            crash(harness, &harness->nodes[i], power);
    } else {
        bool leader = harness_chance(harness, 500);
        crash(harness, leader ? leader_or_any(harness) : any_node(harness), power);
    }
}

static bool lose_half(void *context)
{
    return harness_chance(context, 500);
}

/* A disk is damaged: as many as a minority of the voters may lose what they vouched for. */
static void damage(struct harness *harness)
{
    struct harness_node *node = any_node(harness);
    uint32_t damaged = 0;
    for (uint32_t i = 0; i < harness->options.voters; i++)
        damaged += harness->nodes[i].amnesiac;
    if (node->amnesiac || node->index >= harness->options.voters || node->machine == NULL ||
        2 * (damaged + 1) >= harness->options.voters)
        return;
    crash(harness, node, true);
    disk_damage(&node->disk, lose_half, harness);
    node->amnesiac = true;
    harness->coverage->damaged_replicas++;
}

static void pause(struct harness *harness)
{
    struct harness_node *node =
        role_or_any(harness, harness_chance(harness, 500) ? CONSENSUS_LEADER : CONSENSUS_CANDIDATE);
    if (node->machine == NULL || node->paused)
        return;
    node->paused = true;
    harness->coverage->pauses++;
    uint64_t longest_us = (uint64_t)harness->options.config.election_timeout_ms * 4000;
    harness_push(harness, (struct harness_event){.at_us = harness->now_us +
                                                          harness_draw(harness, 1000, longest_us),
                                                 .type = HARNESS_RESUME,
                                                 .node = node->index,
                                                 .life = node->life});
}

static void transfer(struct harness *harness)
{
    struct harness_node *node = leader_or_any(harness);
    if (node->machine == NULL || node->paused)
        return;
    struct consensus_event event = {.type = CONSENSUS_TRANSFER};
    event.u.transfer_to =
        harness_chance(harness, 500) ? 0 : harness_draw(harness, 1, harness->options.voters);
    if (node_step(harness, node, event) == TORC_OK)
        harness->coverage->transfers++;
}

/* The state is flushed, and the log forgets what every voter has. */
static void trim(struct harness *harness)
{
    struct harness_node *node = any_node(harness);
    if (node->machine == NULL || node->paused)
        return;
    node->flushed = node->applied;
    struct consensus_info info;
    node_info(node, &info);
    uint64_t most = info.floor < node->flushed ? info.floor : node->flushed;
    if (most <= node->disk.trimmed)
        return;
    struct consensus_event event = {.type = CONSENSUS_TRIMMED};
    event.u.trimmed_slot = harness_draw(harness, node->disk.trimmed, most);
    disk_trim(&node->disk, event.u.trimmed_slot);
    (void)!node_step(harness, node, event);
    harness->coverage->trims++;
}

void faults_happen(struct harness *harness)
{
    const struct harness_options *options = &harness->options;
    if (harness->healed || harness->scripted)
        return;
    harness_push(harness, (struct harness_event){
                              .at_us = harness->now_us +
                                       harness_draw(harness, 1, 2 * options->fault_us_mean),
                              .type = HARNESS_FAULT});
    switch (harness_draw(harness, 0, 10)) {
    case 0:
    case 1:
    case 2:
        if (options->partitions)
            partition(harness);
        break;
    case 3:
        if (options->crashes)
            crash_some(harness, false);
        break;
    case 4:
        if (options->power_losses)
            crash_some(harness, true);
        break;
    case 5:
        if (options->pauses)
            pause(harness);
        break;
    case 6:
        if (options->transfers)
            transfer(harness);
        break;
    case 7:
        if (options->damage)
            damage(harness);
        break;
    case 8:
        if (options->trims)
            trim(harness);
        break;
    case 9:
        if (options->partitions && options->crashes)
            ambush(harness);
        break;
    default:
        cut_none(harness);
        break;
    }
}

void faults_client(struct harness *harness)
{
    if (harness->healed && harness->healed_slot != 0 && harness->healed_read)
        return;
    uint64_t next_us = harness_draw(harness, 1, 2 * harness->options.client_us_mean);
    harness_push(harness, (struct harness_event){.at_us = harness->now_us + next_us,
                                                 .type = HARNESS_CLIENT});
    struct harness_node *node = leader_or_any(harness);
    if (node->machine == NULL || node->paused)
        return;
    uint64_t burst = harness_chance(harness, 100) ? harness_draw(harness, 2, 20) : 1;
    for (uint64_t i = 0; i < burst; i++) {
        if (harness_chance(harness, 600))
            node_propose(harness, node);
        else
            node_read(harness, node,
                      harness_chance(harness, 500) ? CONSENSUS_READ_LEASE : CONSENSUS_READ_QUORUM);
    }
}

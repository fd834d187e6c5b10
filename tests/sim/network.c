#include <string.h>

#include "base/assert.h"
#include "tests/sim/sim.h"

enum { NETWORK_STRAGGLER_FACTOR = 50, NETWORK_MAPS_FACTOR = 8, NETWORK_LATE_US_MAX = 8000000 };

/* A life of a place: an answer to one that is gone finds nobody. */
uint64_t sim_route(uint32_t place, uint32_t life)
{
    return (uint64_t)(place + 1) << 32 | life;
}

void network_unref(struct sim *sim, struct sim_packet *packet)
{
    if (--packet->copies == 0)
        base_free(sim->allocator, packet, sizeof(*packet) + packet->size);
}

/* What is said between these two arrives, as it was said. */
static bool is_guarded(const struct sim *sim, const struct sim_head *head)
{
    uint32_t host = sim->guard.host, witness = sim->guard.witness;
    return sim->now_us < sim->guard.until_us && ((head->from == host && head->to == witness) ||
                                                 (head->from == witness && head->to == host));
}

static bool is_calm(const struct sim *sim)
{
    return sim->healed || !sim->born || sim->now_us < sim->quiet_until_us;
}

/* A cluster is born on a network that may repeat itself and be late, and loses nothing. */
static bool is_prompt(const struct sim *sim)
{
    return is_calm(sim) && (sim->born || !sim_has(sim, SIM_FAULT_birth));
}

/* Whether it is held up by itself. Maps are few, and an old one is to come after a newer often. */
static bool straggles(struct sim *sim, uint8_t type)
{
    if (is_prompt(sim) || !sim_has(sim, SIM_FAULT_stragglers))
        return false;
    uint32_t chance = sim->options.stragglers;
    return sim_chance(sim, type == WIRE_TYPE_MAP ? NETWORK_MAPS_FACTOR * chance : chance);
}

/* When a message arrives: a link keeps its order, but for those that are held up by themselves. */
static uint64_t arrival_us(struct sim *sim, const struct sim_head *head, uint8_t type)
{
    const struct sim_options *options = &sim->options;
    struct sim_link *link = &sim->links[head->from][head->to];
    uint64_t delay = sim_draw(sim, options->delay_us_min, options->delay_us_max) + link->slow_us;
    bool calm = is_calm(sim);
    if (is_guarded(sim, head))
        return sim->now_us + sim_draw(sim, options->delay_us_min, options->delay_us_max);
    if (sim->held_us > 0) {
        delay += sim->held_us;
        sim->held_us = 0;
        return sim->now_us + delay;
    }
    if (straggles(sim, type)) {
        /* A few arrive when their sender has given up. */
        sim_happened(sim, SIM_FAULT_stragglers);
        return sim->now_us + sim_draw(sim, delay,
                                      sim_chance(sim, 50) ? NETWORK_LATE_US_MAX
                                                          : delay * NETWORK_STRAGGLER_FACTOR);
    }
    uint64_t at_us = sim->now_us + delay;
    if (at_us >= link->last_us)
        return link->last_us = at_us;
    if (calm || !sim_has(sim, SIM_FAULT_reorder))
        return link->last_us;
    sim_happened(sim, SIM_FAULT_reorder);
    return at_us;
}

static bool is_lost(struct sim *sim, const struct sim_head *head)
{
    const struct sim_link *link = &sim->links[head->from][head->to];
    if (sim_chance(sim, link->loss)) {
        sim_happened(sim, SIM_FAULT_lossy_links);
        return true;
    }
    if (!sim_has(sim, SIM_FAULT_loss) || !sim_chance(sim, sim->options.loss))
        return false;
    sim_happened(sim, SIM_FAULT_loss);
    return true;
}

/* What the network does to a message before it is under way; the number of its copies is left. */
static void mistreat(struct sim *sim, struct sim_packet *packet)
{
    if (packet->size > 0 && sim_has(sim, SIM_FAULT_damage) && sim_chance(sim, 5)) {
        packet->head.damaged = true;
        packet->bytes[sim_draw(sim, 0, packet->size - 1)] ^= (uint8_t)(1u << sim_draw(sim, 0, 7));
        sim_happened(sim, SIM_FAULT_damage);
    }
    if (is_lost(sim, &packet->head)) {
        packet->copies = 0;
    } else if (sim_has(sim, SIM_FAULT_duplicates) && sim_chance(sim, sim->options.duplicates)) {
        packet->copies = 2;
        sim_happened(sim, SIM_FAULT_duplicates);
    }
}

void network_send(struct sim *sim, struct sim_head head, struct base_bytes bytes)
{
    sim->coverage->messages++;
    check_codec(sim, bytes);
    sim_note(sim, base_hash_seeded(bytes, sim->now_us ^ (uint64_t)head.from << 48 ^
                                              (uint64_t)head.to << 56));
    struct sim_packet *packet = base_alloc(sim->allocator, sizeof(*packet) + bytes.size);
    packet->head = head;
    packet->size = bytes.size;
    packet->taken = 0;
    memcpy(packet->bytes, bytes.data, bytes.size);
    packet->copies = 1;
    if (!is_calm(sim) && !is_guarded(sim, &head))
        mistreat(sim, packet);
    sim_trace(sim, packet->copies == 0 ? "lost" : "send", head.from, head.to, bytes.data[5],
              bytes.size);
    sim_trace_message(sim, &head, bytes);
    sim->coverage->messages_lost += packet->copies == 0;
    if (packet->copies == 0) {
        sim->held_us = 0;
        base_free(sim->allocator, packet, sizeof(*packet) + packet->size);
        return;
    }
    for (uint32_t i = 0, count = packet->copies; i < count; i++)
        sim_push(sim, (struct sim_event){.at_us = arrival_us(sim, &packet->head, bytes.data[5]),
                                         .type = SIM_PACKET,
                                         .place = head.to,
                                         .packet = packet});
}

/* Somebody is there who is given the message. */
static void count_delivered(struct sim *sim, const struct wire_envelope *envelope)
{
    bool carries = envelope->type == WIRE_TYPE_REQUEST || envelope->type == WIRE_TYPE_REPLY ||
                   envelope->type == WIRE_TYPE_CONSENSUS;
    sim->coverage->messages_delivered++;
    sim->coverage->messages_with_operations += carries && envelope->payload.size > 0;
}

static void give_to_node(struct sim *sim, struct sim_packet *packet,
                         const struct wire_envelope *envelope)
{
    struct sim_host *host = &sim->hosts[packet->head.to];
    uint64_t route = packet->head.to_route;
    if (host->node == NULL || (route != 0 && route != sim_route(packet->head.to, host->life)))
        return;
    count_delivered(sim, envelope);
    if (host_receive(sim, host, &packet->head, envelope))
        check_delivery(sim, packet, envelope, host->life, host->superblock.incarnation);
}

static void give_to_router(struct sim *sim, struct sim_packet *packet,
                           const struct wire_envelope *envelope)
{
    struct sim_router *router = &sim->routers[packet->head.to - SIM_NODES_MAX];
    if (packet->head.to_route != sim_route(packet->head.to, router->life))
        return;
    count_delivered(sim, envelope);
    if (sim_router_receive(sim, router, &packet->head, envelope))
        check_delivery(sim, packet, envelope, router->life, router->life);
}

void network_deliver(struct sim *sim, struct sim_packet *packet)
{
    if (sim->cut[packet->head.from][packet->head.to] && !is_guarded(sim, &packet->head)) {
        sim->coverage->messages_lost++;
        sim_trace(sim, "cut", packet->head.to, packet->head.from, packet->bytes[5], packet->size);
        return;
    }
    struct wire_envelope envelope;
    enum torc_status status =
        wire_envelope_read(base_bytes_of(packet->bytes, packet->size), &envelope);
    if ((status != TORC_OK) != packet->head.damaged)
        sim_fail(sim, "codec", "place %u sent a message that is %s and reads as: %s",
                 packet->head.from, packet->head.damaged ? "damaged" : "whole",
                 torc_status_text(status));
    if (packet->head.damaged)
        return;
    if (packet->head.to < SIM_NODES_MAX)
        give_to_node(sim, packet, &envelope);
    else if (packet->head.to != SIM_TOOL)
        give_to_router(sim, packet, &envelope);
}

/* All are connected anew: what is under way on a slow link holds up nothing behind it. */
void network_heal(struct sim *sim)
{
    memset(sim->cut, 0, sizeof(sim->cut));
    memset(sim->links, 0, sizeof(sim->links));
}

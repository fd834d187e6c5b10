/* No message is taken twice by one life of its receiver, and none that was meant for an earlier one
 * (DESIGN section 9). Greetings and questions for the map may be: they change nothing. */
#include "tests/sim/sim.h"

/* One that was wiped knows no peers, and so not who said something twice; it takes part in nothing.
 */
static bool knows_nobody(const struct sim *sim, uint32_t place)
{
    return place < SIM_NODES_MAX && sim->hosts[place].identity == SIM_WIPED &&
           shard_node_map(sim->hosts[place].node)->version == 0;
}

void check_delivery(struct sim *sim, struct sim_packet *packet,
                    const struct wire_envelope *envelope, uint32_t life, uint32_t incarnation)
{
    const struct sim_head *head = &packet->head;
    if (head->from == SIM_TOOL || envelope->type == WIRE_TYPE_HELLO ||
        envelope->type == WIRE_TYPE_MAP_REQUEST || knows_nobody(sim, head->to))
        return;
    uint64_t taker = sim_route(head->to, life);
    if (packet->taken == taker)
        sim_fail(sim, "delivery", "place %u takes a message of place %u, type %s, twice", head->to,
                 head->from, wire_type_name(envelope->type));
    if (envelope->to_incarnation != 0 && envelope->to_incarnation != incarnation)
        sim_fail(sim, "delivery", "place %u, in its life %u, takes a message of place %u for %u",
                 head->to, incarnation, head->from, envelope->to_incarnation);
    packet->taken = taker;
}

/* No message is taken twice by one life of its receiver, and none that was meant for an earlier one
 * (DESIGN section 9). Requests and greetings may be: records and repetition are their business. */
#include "tests/sim/sim.h"

void check_delivery(struct sim *sim, struct sim_packet *packet,
                    const struct wire_envelope *envelope, uint32_t life, uint32_t incarnation)
{
    const struct sim_head *head = &packet->head;
    if (head->from >= SIM_NODES_MAX || envelope->type == WIRE_TYPE_HELLO)
        return;
    uint64_t taker = sim_route(head->to, life);
    if (packet->taken == taker)
        sim_fail(sim, "delivery", "place %u takes a message of node %u, type %s, twice", head->to,
                 envelope->node, wire_type_name(envelope->type));
    if (envelope->to_incarnation != 0 && envelope->to_incarnation != incarnation)
        sim_fail(sim, "delivery", "place %u, in its life %u, takes a message of node %u for %u",
                 head->to, incarnation, envelope->node, envelope->to_incarnation);
    packet->taken = taker;
}

/* A router sends a leader no more than that one said it takes: credits are totals, counted per life
 * of the leader and per group (DESIGN section 9). */
#include <string.h>

#include "tests/sim/sim.h"

static struct sim_credit *credit_of(struct sim *sim, struct sim_router *router, uint32_t node,
                                    uint32_t incarnation, uint32_t group)
{
    if (node == 0 || node > sim->options.nodes || group > sim->options.groups)
        sim_fail(sim, "credit", "router %u hears of node %u, group %u", router->index + 1, node,
                 group);
    struct sim_credit *credit = &router->credits[node - 1][group];
    if (credit->incarnation < incarnation)
        *credit = (struct sim_credit){.incarnation = incarnation};
    return credit;
}

void check_credit_heard(struct sim *sim, struct sim_router *router,
                        const struct wire_envelope *envelope)
{
    const ProtobufCMessage *body;
    bool reply = envelope->type == WIRE_TYPE_REPLY;
    if ((!reply && envelope->type != WIRE_TYPE_WELCOME) ||
        wire_body_read(sim->arena, envelope, &body) != TORC_OK)
        return;
    uint32_t group = reply ? ((const Torc__Wire__Reply *)body)->group
                           : ((const Torc__Wire__Welcome *)body)->group;
    uint64_t most = reply ? ((const Torc__Wire__Reply *)body)->credit
                          : ((const Torc__Wire__Welcome *)body)->credit;
    struct sim_credit *credit =
        credit_of(sim, router, envelope->node, envelope->incarnation, group);
    if (credit->incarnation == envelope->incarnation && most > credit->most)
        credit->most = most;
}

void check_credit_used(struct sim *sim, struct sim_router *router,
                       const struct wire_envelope *envelope)
{
    const ProtobufCMessage *body;
    if (wire_body_read(sim->arena, envelope, &body) != TORC_OK)
        sim_fail(sim, "codec", "router %u sends a request without a body", router->index + 1);
    const Torc__Wire__Request *request = (const Torc__Wire__Request *)body;
    const struct sim_credit *credit =
        credit_of(sim, router, envelope->to_node, envelope->to_incarnation, request->group);
    uint64_t last = request->sequence + request->request_count - 1;
    if (credit->incarnation == envelope->to_incarnation && last > credit->most)
        sim_fail(sim, "credit", "router %u sends number %llu to node %u, which takes up to %llu",
                 router->index + 1, (unsigned long long)last, envelope->to_node,
                 (unsigned long long)credit->most);
}

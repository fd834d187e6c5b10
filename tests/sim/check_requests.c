/* A request that writes is executed at most once and answered alike however often it is asked
 * (S17): all its answers that say "done" are the same, to the byte of their results. */
#include "base/assert.h"
#include "tests/sim/sim.h"

static struct sim_request *request_of(struct sim *sim, struct sim_router *router, uint64_t number)
{
    TORC_ASSERT(number < SIM_REQUESTS_MAX);
    router->requests =
        base_array_reserve(sim->allocator, router->requests, &router->requests_capacity,
                           (size_t)number + 1, sizeof(*router->requests));
    while (router->request_count <= number)
        router->requests[router->request_count++] = (struct sim_request){0};
    return &router->requests[number];
}

void check_request_sent(struct sim *sim, struct sim_router *router,
                        const struct router_message *message)
{
    struct base_bytes rest = message->payload;
    while (rest.size > 0) {
        struct wire_request request;
        if (wire_request_read(rest, &sim->map.limits, &request) != TORC_OK)
            sim_fail(sim, "codec", "router %u sends a request that does not decode",
                     router->index + 1);
        struct sim_request *kept = request_of(sim, router, request.number);
        sim->coverage->copies_of_requests += kept->copies > 0;
        if (kept->copies++ == 0) {
            kept->writes = wire_request_writes(&request);
            bool stale = (request.flags & WIRE_REQUEST_STALE) != 0;
            kept->group = stale ? 0 : check_reads_group(sim, &request);
            kept->asked_us = sim->now_us;
        }
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
    }
}

bool check_requests_answered(struct sim *sim, struct sim_router *router, struct base_bytes requests)
{
    while (requests.size > 0) {
        struct wire_request request;
        if (wire_request_read(requests, &sim->map.limits, &request) != TORC_OK)
            sim_fail(sim, "codec", "router %u kept what does not decode", router->index + 1);
        if (request_of(sim, router, request.number)->dones == 0)
            return false;
        requests = base_bytes_of(requests.data + request.encoded.size,
                                 requests.size - request.encoded.size);
    }
    return true;
}

/* What a router's requests are known by. */
static struct wire_client_id client_of(const struct sim_router *router)
{
    return (struct wire_client_id){.high = router->index + 1, .low = router->life};
}

static void check_answer(struct sim *sim, const struct sim_host *host, struct sim_router *router,
                         const struct wire_answer *answer)
{
    sim->coverage->not_leader += answer->status == WIRE_NOT_LEADER;
    sim->coverage->busy_answers += answer->status == WIRE_BUSY;
    sim->coverage->moved_answers += answer->status == WIRE_MOVED;
    struct sim_request *request = request_of(sim, router, answer->number);
    if (request->copies == 0)
        sim_fail(sim, "answers", "an answer to request %llu, which router %u did not send",
                 (unsigned long long)answer->number, router->index + 1);
    if (answer->status != WIRE_DONE)
        return;
    if (!request->writes) {
        check_read(sim, host, request->group, request->asked_us);
        return;
    }
    uint64_t slot = check_effects_slot(sim, client_of(router), answer->number);
    if (slot != 0)
        check_reads_written(sim, request->group, slot);
    uint64_t hash = base_hash(answer->results);
    if (request->dones++ == 0)
        request->answer = hash;
    else
        sim->coverage->answers_from_records++;
    if (request->answer != hash)
        sim_fail(sim, "answers", "request %llu of router %u is answered in two ways",
                 (unsigned long long)answer->number, router->index + 1);
}

void check_reply_sent(struct sim *sim, const struct sim_host *host, const struct sim_head *head,
                      const struct wire_envelope *envelope)
{
    if (head->to < SIM_NODES_MAX || head->to == SIM_TOOL)
        sim_fail(sim, "routes", "a reply goes to place %u", head->to);
    struct sim_router *router = &sim->routers[head->to - SIM_NODES_MAX];
    if (head->to_route != sim_route(head->to, router->life))
        return;
    struct base_bytes rest = envelope->payload;
    while (rest.size > 0) {
        struct wire_answer answer;
        if (wire_answer_read(rest, &answer) != TORC_OK)
            sim_fail(sim, "codec", "node %u sends an answer that does not decode", envelope->node);
        check_answer(sim, host, router, &answer);
        rest = base_bytes_of(rest.data + answer.encoded.size, rest.size - answer.encoded.size);
    }
}

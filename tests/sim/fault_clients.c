/* What clients do to a cluster. */
#include <string.h>

#include "tests/sim/clients.h"
#include "tests/sim/faults.h"

/* From a drawn client on, the first that `is_fit`; NULL: none. */
static struct sim_client *find(struct sim *sim, bool (*is_fit)(const struct sim_client *client))
{
    uint64_t first = sim_draw(sim, 0, sim->options.clients - 1);
    for (uint32_t i = 0; i < sim->options.clients; i++) {
        struct sim_client *client = &sim->clients[(first + i) % sim->options.clients];
        if (is_fit(client))
            return client;
    }
    return NULL;
}

static bool is_connected(const struct sim_client *client)
{
    return client->stream->state == SIM_STREAM_OPEN;
}

static bool waits_on_a_stream(const struct sim_client *client)
{
    return is_connected(client) && client->in_flight > 0;
}

void fault_quitters(struct sim *sim)
{
    struct sim_client *client = find(sim, waits_on_a_stream);
    if (client == NULL)
        return;
    sim_happened(sim, SIM_FAULT_quitters);
    sim_trace(sim, "quits", SIM_OF_CLIENT + client->index, SIM_NODES_MAX + client->router,
              client->in_flight, 0);
    resp_client_quit(sim, client->stream);
}

void fault_slow_readers(struct sim *sim)
{
    struct sim_client *client = find(sim, waits_on_a_stream);
    if (client == NULL || client->stream->deaf_until_us > sim->now_us)
        return;
    sim_happened(sim, SIM_FAULT_slow_readers);
    client->stream->deaf_until_us = sim->now_us + fault_while_us(sim);
    sim_trace(sim, "reads nothing", SIM_OF_CLIENT + client->index, SIM_NODES_MAX + client->router,
              client->stream->deaf_until_us, 0);
    sim_push(sim, (struct sim_event){.at_us = client->stream->deaf_until_us,
                                     .type = SIM_CLIENT_READS,
                                     .place = client->index,
                                     .life = client->stream->life});
}

void fault_overload(struct sim *sim)
{
    sim_happened(sim, SIM_FAULT_overload);
    sim->rush_until_us = sim->now_us + sim_draw(sim, 1000, 300000);
    sim_trace(sim, "overload", SIM_EVERYWHERE, sim->rush_until_us, 0, 0);
}

/* What is no command, and how its refusal begins. */
static const struct {
    const char *bytes, *error; /* NULL: a key beyond the limit. */
    bool ends;                 /* The connection with it. */
} garbage[] = {
    {"*3\r\n$6\r\nNOSUCH\r\n$1\r\na\r\n$1\r\nb\r\n", "ERR unknown command 'NOSUCH'", false},
    {"*1\r\n$3\r\nGET\r\n", "ERR wrong number of arguments for 'get' command", false},
    {"*4\r\n$3\r\nSET\r\n$2\r\nr0\r\n$1\r\nx\r\n$2\r\nZZ\r\n", "ERR syntax error", false},
    {"*3\r\n$6\r\nINCRBY\r\n$2\r\nc0\r\n$1\r\nx\r\n", "ERR value is not an integer", false},
    {NULL, "ERR key is too large", false},
    {"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "ERR key is empty", false},
    {"*1\r\n!3\r\nGET\r\n", "ERR Protocol error", true},
    {"*x\r\n", "ERR Protocol error", true},
    {"*1\r\n$-7\r\n", "ERR Protocol error", true},
};

static const char *ask_for_large_key(const struct sim *sim)
{
    static char text[SIM_LIMIT_KEY_SIZE_MAX + 64];
    uint32_t size = sim->options.limits.key_size_max + 1;
    int head = snprintf(text, sizeof(text), "*2\r\n$3\r\nGET\r\n$%u\r\n", size);
    memset(text + head, 'k', size);
    snprintf(text + head + size, sizeof(text) - (size_t)head - size, "\r\n");
    return text;
}

void fault_garbage(struct sim *sim)
{
    struct sim_client *client = find(sim, is_connected);
    /* Without a map a router knows no limits: nodes would refuse. */
    if (client == NULL ||
        router_courier_map(sim_router_courier(&sim->routers[client->router])) == NULL)
        return;
    uint64_t drawn = sim_draw(sim, 0, sizeof(garbage) / sizeof(garbage[0]) - 1);
    const char *bytes = garbage[drawn].bytes;
    if (bytes == NULL)
        bytes = ask_for_large_key(sim);
    if (!resp_client_misspeak(sim, client->stream, bytes, garbage[drawn].error,
                              garbage[drawn].ends))
        return;
    sim_happened(sim, SIM_FAULT_garbage);
    sim_trace(sim, "garbage", SIM_OF_CLIENT + client->index, SIM_NODES_MAX + client->router, drawn,
              0);
}

/* A library that does not know better asks again long after its answer. */
void fault_late_copies(struct sim *sim)
{
    struct sim_router *router = &sim->routers[sim_draw(sim, 0, sim->options.routers - 1)];
    if (router->is_whole || !sim_router_send_kept(sim, router))
        return;
    sim_happened(sim, SIM_FAULT_late_copies);
    sim_trace(sim, "late copy", SIM_NODES_MAX + router->index, 0, 0, 0);
}

#include <string.h>

#include "tests/sim/sim.h"

/* "n1" is node 1, "r1" the first router, "tool" what sends the first map. */
static const char *place_name(uint64_t place, char text[8])
{
    if (place >= SIM_TOOL)
        return "tool";
    bool router = place >= SIM_NODES_MAX;
    snprintf(text, 8, "%c%u", router ? 'r' : 'n',
             (uint32_t)(router ? place - SIM_NODES_MAX : place) + 1);
    return text;
}

static void print(const struct sim_trace *trace, FILE *out)
{
    char one[8], other[8];
    const char *what = trace->what;
    unsigned long long a = trace->a, b = trace->b, c = trace->c;
    fprintf(out, "%12llu ", (unsigned long long)trace->at_us);
    if (strcmp(what, "send") == 0 || strcmp(what, "lost") == 0)
        fprintf(out, "%-4s %s %s to %s, %llu bytes\n", place_name(trace->place, one), what,
                wire_type_name((enum wire_type)b), place_name(a, other), c);
    else if (strcmp(what, "receive") == 0)
        fprintf(out, "%-4s receive %s from %s: %s\n", place_name(trace->place, one),
                wire_type_name((enum wire_type)b), place_name(a, other),
                torc_status_text((enum torc_status)c));
    else if (strcmp(what, "ask") == 0 || strcmp(what, "outcome") == 0)
        fprintf(out, "c%-3u %s key %llu, %llu %llu\n", trace->place + 1, what, a, b, c);
    else
        fprintf(out, "%-4s %s %llu %llu %llu\n", place_name(trace->place, one), what, a, b, c);
}

void sim_trace(struct sim *sim, const char *what, uint32_t place, uint64_t a, uint64_t b,
               uint64_t c)
{
    struct sim_trace *trace = &sim->last[sim->trace_count++ % SIM_TRACE_MAX];
    *trace = (struct sim_trace){
        .at_us = sim->now_us, .what = what, .place = place, .a = a, .b = b, .c = c};
    if (sim->trace)
        print(trace, stdout);
}

void sim_trace_print(const struct sim *sim, FILE *out)
{
    uint64_t count = sim->trace_count < SIM_TRACE_MAX ? sim->trace_count : SIM_TRACE_MAX;
    fprintf(out, "the last events (docs/simulator.md says what the numbers are):\n");
    for (uint64_t i = sim->trace_count - count; i < sim->trace_count; i++)
        print(&sim->last[i % SIM_TRACE_MAX], out);
}

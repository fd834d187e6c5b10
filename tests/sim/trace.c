#include "tests/sim/sim.h"

static void print(const struct sim_trace *trace, FILE *out)
{
    fprintf(out, "%12llu %-3u %-14s %llu %llu %llu\n", (unsigned long long)trace->at_us,
            trace->place, trace->what, (unsigned long long)trace->a, (unsigned long long)trace->b,
            (unsigned long long)trace->c);
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
    fprintf(out, "the last events (time in us, place, what, numbers: docs/simulator.md):\n");
    for (uint64_t i = sim->trace_count - count; i < sim->trace_count; i++)
        print(&sim->last[i % SIM_TRACE_MAX], out);
}

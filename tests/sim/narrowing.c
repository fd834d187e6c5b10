#include "tests/sim/narrowing.h"

#include "tests/sim/sim.h"

bool sim_narrowing_any(const struct sim_narrowing *n)
{
    return n->nodes != 0 || n->replicas != 0 || n->groups != 0 || n->routers != 0 ||
           n->clients != 0 || n->seconds != 0 || n->operations != 0 || n->faults_given;
}

static void set(uint32_t *value, uint32_t given)
{
    if (given != 0)
        *value = given;
}

void sim_narrowing_apply(const struct sim_narrowing *narrowing, struct sim_options *options)
{
    options->narrowing = *narrowing;
    set(&options->nodes, narrowing->nodes);
    set(&options->replicas, narrowing->replicas);
    set(&options->groups, narrowing->groups);
    set(&options->routers, narrowing->routers);
    set(&options->clients, narrowing->clients);
    if (options->replicas > options->nodes && narrowing->nodes != 0)
        options->replicas = options->nodes;
    if (options->nodes < options->replicas)
        options->nodes = options->replicas;
    if (narrowing->seconds != 0)
        options->chaos_us = narrowing->seconds * UINT64_C(1000000);
    if (narrowing->operations != 0)
        options->operations_max = narrowing->operations;
    if (narrowing->faults_given)
        options->faults = narrowing->faults;
}

static void print_count(const char *name, uint64_t value, FILE *out)
{
    if (value != 0)
        fprintf(out, " --%s %llu", name, (unsigned long long)value);
}

void sim_narrowing_print(const struct sim_narrowing *narrowing, FILE *out)
{
    print_count("nodes", narrowing->nodes, out);
    print_count("replicas", narrowing->replicas, out);
    print_count("groups", narrowing->groups, out);
    print_count("routers", narrowing->routers, out);
    print_count("clients", narrowing->clients, out);
    print_count("seconds", narrowing->seconds, out);
    print_count("operations", narrowing->operations, out);
    if (narrowing->faults_given) {
        fprintf(out, " --faults ");
        sim_faults_print(narrowing->faults, out);
    }
}

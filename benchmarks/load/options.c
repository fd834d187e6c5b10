#include "benchmarks/load/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: torc-load --backend NAME --ports P[,P...] --op OP [OPTIONS]\n"
    "\n"
    "A closed loop of clients against a server on loopback; prints one line of JSON.\n"
    "\n"
    "  --backend NAME     resp, redis-cluster, etcd (its gRPC, port of the leader), libtorc\n"
    "  --ports P[,P...]   of the servers; resp and etcd use the first\n"
    "  --cluster ID       libtorc: the cluster's id\n"
    "  --op OP            set, get, mix (half and half) or fill (each key once)\n"
    "  --wait             WAIT 1 after the SETs of a round (RESP)\n"
    "  --clients N        that each wait for their replies (1)\n"
    "  --pipeline N       requests of a client at a time, at most 64 (1)\n"
    "  --connections N    etcd: that the clients share (clients, at most 16, or 64 when "
    "pipelined)\n"
    "  --seconds N        (5)\n"
    "  --value BYTES      (256)\n"
    "  --keys N           (1000000)\n"
    "  --choice HOW       uniform, or zipf with 0.99 (uniform)\n"
    "  --seed N           of keys and values (1)\n"
    "  --cpu N            to stay on\n"
    "  --report N         a line every N seconds, with what came since the one before\n"
    "  --help             this text\n";

const char *options_help(void)
{
    return help;
}

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < min ||
        number > max)
        return false;
    *ret_number = number;
    return true;
}

static bool read_backend(const char *text, struct load_options *options)
{
    static const struct load_backend *const backends[] = {&load_resp, &load_resp_cluster,
                                                          &load_etcd, &load_torc};
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(text, backends[i]->name) == 0)
            options->backend = backends[i];
    }
    return options->backend != NULL && strcmp(text, options->backend->name) == 0;
}

static bool read_ports(const char *text, struct load_options *options)
{
    char copy[256], *rest;
    if (strlen(text) >= sizeof(copy))
        return false;
    memcpy(copy, text, strlen(text) + 1);
    options->port_count = 0;
    for (char *one = strtok_r(copy, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        uint64_t port;
        if (options->port_count == LOAD_PORTS_MAX || !read_number(one, 1, UINT16_MAX, &port))
            return false;
        options->ports[options->port_count++] = (uint16_t)port;
    }
    return options->port_count > 0;
}

static bool read_op(const char *text, struct load_options *options)
{
    static const char *const names[] = {"set", "get", "mix", "fill"};
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            options->mode = (enum load_mode)i;
            return true;
        }
    }
    return false;
}

/* Options that are a number: into *ret_number. */
static bool read_numeric(const char *name, const char *text, struct load_options *options)
{
    uint64_t number = 0;
    if (strcmp(name, "--clients") == 0 && read_number(text, 1, LOAD_CLIENTS_MAX, &number))
        options->clients = (unsigned)number;
    else if (strcmp(name, "--pipeline") == 0 && read_number(text, 1, LOAD_PIPELINE_MAX, &number))
        options->pipeline = (unsigned)number;
    else if (strcmp(name, "--connections") == 0 && read_number(text, 1, LOAD_CLIENTS_MAX, &number))
        options->connections = (unsigned)number;
    else if (strcmp(name, "--seconds") == 0 && read_number(text, 1, 86400, &number))
        options->seconds = (unsigned)number;
    else if (strcmp(name, "--value") == 0 &&
             read_number(text, DATA_VALUE_SIZE_MIN, DATA_VALUE_SIZE_MAX, &number))
        options->value_size = (size_t)number;
    else if (strcmp(name, "--keys") == 0 && read_number(text, 1, 1000000000, &number))
        options->key_count = number;
    else if (strcmp(name, "--seed") == 0 && read_number(text, 0, UINT64_MAX, &number))
        options->seed = number;
    else if (strcmp(name, "--report") == 0 && read_number(text, 1, 86400, &number))
        options->report_seconds = (unsigned)number;
    else if (strcmp(name, "--cpu") == 0 && read_number(text, 0, 1023, &number))
        options->cpu = (int)number;
    else
        return false;
    return true;
}

static bool read_one(const char *name, const char *text, struct load_options *options)
{
    if (strcmp(name, "--backend") == 0)
        return read_backend(text, options);
    if (strcmp(name, "--ports") == 0)
        return read_ports(text, options);
    if (strcmp(name, "--op") == 0)
        return read_op(text, options);
    if (strcmp(name, "--cluster") == 0) {
        options->cluster = text;
        return true;
    }
    if (strcmp(name, "--choice") == 0) {
        options->zipf = strcmp(text, "zipf") == 0;
        return options->zipf || strcmp(text, "uniform") == 0;
    }
    return read_numeric(name, text, options);
}

/* What is asked for together; NULL: it fits. Sets the number of connections. */
static const char *fit(struct load_options *options, bool op_given)
{
    if (options->backend == NULL || options->port_count == 0 || !op_given)
        return "--backend, --ports and --op are wanted";
    bool resp = options->backend == &load_resp || options->backend == &load_resp_cluster;
    if (options->wait && !resp)
        return "--wait is for RESP";
    if ((options->backend == &load_torc) != (options->cluster != NULL))
        return "--cluster is for libtorc, which needs it";
    if (options->connections != 0 && options->backend != &load_etcd)
        return "--connections is for etcd";
    unsigned most = options->backend->one_slot_each  ? LOAD_CLIENTS_MAX
                    : options->backend == &load_torc ? 1
                    : options->pipeline > 1          ? 64
                                                     : 16;
    if (options->connections == 0)
        options->connections = most;
    if (options->connections > options->clients)
        options->connections = options->clients;
    return NULL;
}

enum options_outcome options_read(int argc, char **argv, struct load_options *ret_options,
                                  char *text, size_t text_size)
{
    struct load_options options = {.clients = 1,
                                   .pipeline = 1,
                                   .seconds = 5,
                                   .value_size = 256,
                                   .key_count = 1000000,
                                   .seed = 1,
                                   .cpu = -1};
    bool op_given = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return OPTIONS_HELP;
        op_given = op_given || strcmp(argv[i], "--op") == 0;
        if (strcmp(argv[i], "--wait") == 0) {
            options.wait = true;
        } else if (i + 1 == argc || !read_one(argv[i], argv[i + 1], &options)) {
            snprintf(text, text_size, "%s%s%s: not understood", argv[i], i + 1 < argc ? " " : "",
                     i + 1 < argc ? argv[i + 1] : "");
            return OPTIONS_WRONG;
        } else {
            i++;
        }
    }
    const char *flaw = fit(&options, op_given);
    if (flaw != NULL) {
        snprintf(text, text_size, "%s", flaw);
        return OPTIONS_WRONG;
    }
    *ret_options = options;
    return OPTIONS_RUN;
}

/*
 * benchmarks/load/load -- a closed loop of clients against a server on loopback, in one thread.
 *
 * A client sends `pipeline` requests, waits for all of their replies, and begins again; that time
 * is one entry of the summary. What a request looks like on the wire is the back end's: one writes
 * into sockets that the loop waits for, and reports each reply with load_answered.
 */
#ifndef TORC_BENCHMARKS_LOAD_LOAD_H
#define TORC_BENCHMARKS_LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "benchmarks/load/data.h"
#include "benchmarks/load/summary.h"

enum {
    LOAD_PORTS_MAX = 16,
    LOAD_CLIENTS_MAX = 4096,
    LOAD_PIPELINE_MAX = 64,
    LOAD_BUFFER_SIZE = 256 * 1024, /* A connection's, each way. */
};

enum load_mode { LOAD_MODE_SET, LOAD_MODE_GET, LOAD_MODE_MIX, LOAD_MODE_FILL };
enum load_op { LOAD_SET, LOAD_GET, LOAD_WAIT };

struct load;

struct load_options {
    const struct load_backend *backend;
    uint16_t ports[LOAD_PORTS_MAX];
    unsigned port_count;
    const char *cluster; /* libtorc: the cluster's id. */
    enum load_mode mode;
    bool wait; /* After the SETs of a round: WAIT 1, and they count only when it says 1 or more. */
    unsigned clients, pipeline, connections, seconds;
    size_t value_size;
    uint64_t key_count, seed;
    bool zipf;
    int cpu;                 /* To stay on; -1: any. */
    unsigned report_seconds; /* After which `report` is called and counts begin anew; 0: never. */
    void (*report)(const struct load *load);
};

struct load_request {
    struct load_slot *slot;
    enum load_op op;
    uint8_t key[DATA_KEY_SIZE];
};

struct load_slot { /* A client. */
    struct load_connection *connection;
    unsigned request_count, answered, bad;
    bool wait_bad; /* WAIT did not say what it must. */
    uint64_t began_ns;
    struct load_request requests[LOAD_PIPELINE_MAX + 1];
};

struct load_connection {
    int fd;
    unsigned port_index; /* Of options.ports. */
    uint8_t *in, *out;
    size_t in_size, out_size;
    void *own;              /* The back end's. */
    struct load_slot *slot; /* Where each client has a connection of its own. */
};

struct load {
    struct load_options options;
    struct data_choice choice;
    struct base_prng prng;
    struct load_slot *slots;
    struct load_connection *connections;
    uint8_t *key_ports;              /* Index of the port that holds each key, or NULL: any. */
    uint64_t filled[LOAD_PORTS_MAX]; /* Next key that a fill looks at, by port (or by the first). */
    uint64_t begin_ns;               /* Of what is counted. */
    uint64_t end_ns, ended_ns;
    uint64_t done, errors;
    unsigned live;
    struct summary summary;
};

struct load_backend {
    const char *name;
    bool one_slot_each; /* A connection is one client's. */
    /* Sets the fd of each connection, and key_ports. */
    void (*open)(struct load *load);
    /* Sends slot->requests, whole. */
    void (*send)(struct load *load, struct load_slot *slot);
    /* The descriptor is readable. */
    void (*receive)(struct load *load, struct load_connection *connection);
    void (*close)(struct load *load);
};

extern const struct load_backend load_resp, load_resp_cluster, load_etcd, load_torc;

/* Runs to the end. */
void load_run(struct load *load);
/* A request of the slot was answered; for the last one the slot begins its next round. */
void load_answered(struct load *load, struct load_request *request, bool good);
/* The value that a request is to write: into at least value_size bytes. */
void load_value_write(struct load *load, const struct load_request *request, uint8_t *value);
bool load_value_good(const struct load *load, const struct load_request *request,
                     struct base_bytes value);

/* ---- For back ends over sockets ----------------------------------------------------------------
 */

/* Connects to a port on loopback, or ends the program. */
int load_connect(uint16_t port);
/* Connects each connection to a port in turn, with buffers. */
void load_connect_all(struct load *load, const unsigned *port_indices, unsigned count);
void load_disconnect_all(struct load *load);
/* Appends to what is to be written; load_flush writes all of it. */
void load_put(struct load_connection *connection, const void *data, size_t size);
void load_flush(struct load_connection *connection);
/* Reads what there is behind what is left. */
void load_fill(struct load_connection *connection);
/* Drops the first `used` bytes. */
void load_drop(struct load_connection *connection, size_t used);

/* Says why, and ends the program: a load that is not as asked for is worth nothing. */
__attribute__((noreturn, format(printf, 1, 2))) void load_die(const char *format, ...);
uint64_t load_now_ns(void);

#endif /* TORC_BENCHMARKS_LOAD_LOAD_H */

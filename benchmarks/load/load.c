#include "benchmarks/load/load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { EVENTS_MAX = 256, SILENCE_MS_MAX = 30000 };

void load_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("torc-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t load_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void load_value_write(struct load *load, const struct load_request *request, uint8_t *value)
{
    data_value_write(value, load->options.value_size, request->key, &load->prng);
}

bool load_value_good(const struct load *load, const struct load_request *request,
                     struct base_bytes value)
{
    return data_value_good(value, load->options.value_size, request->key);
}

/* The next key that a fill has for this port; false at the end. */
static bool next_key(struct load *load, unsigned port_index, uint64_t *ret_key)
{
    uint64_t *next = &load->filled[load->key_ports == NULL ? 0 : port_index];
    while (*next < load->options.key_count && load->key_ports != NULL &&
           load->key_ports[*next] != port_index)
        (*next)++;
    if (*next >= load->options.key_count)
        return false;
    *ret_key = (*next)++;
    return true;
}

static bool pick_key(struct load *load, unsigned port_index, uint64_t *ret_key)
{
    if (load->options.mode == LOAD_MODE_FILL)
        return next_key(load, port_index, ret_key);
    do
        *ret_key = data_choose(&load->choice, &load->prng);
    while (load->key_ports != NULL && load->key_ports[*ret_key] != port_index);
    return true;
}

static enum load_op pick_op(struct load *load)
{
    if (load->options.mode == LOAD_MODE_GET)
        return LOAD_GET;
    if (load->options.mode == LOAD_MODE_MIX && base_prng_chance(&load->prng, 1, 2))
        return LOAD_GET;
    return LOAD_SET;
}

/* False when nothing is left to do. */
static bool begin_round(struct load *load, struct load_slot *slot)
{
    const struct load_options *options = &load->options;
    bool sets = false;
    slot->request_count = slot->answered = slot->bad = 0;
    slot->wait_bad = false;
    for (unsigned i = 0; i < options->pipeline; i++) {
        struct load_request *request = &slot->requests[slot->request_count];
        uint64_t key;
        if (!pick_key(load, slot->connection->port_index, &key))
            break;
        *request = (struct load_request){.slot = slot, .op = pick_op(load)};
        data_key_write(request->key, key);
        sets = sets || request->op == LOAD_SET;
        slot->request_count++;
    }
    if (slot->request_count == 0)
        return false;
    if (options->wait && sets)
        slot->requests[slot->request_count++] =
            (struct load_request){.slot = slot, .op = LOAD_WAIT};
    slot->began_ns = load_now_ns();
    options->backend->send(load, slot);
    return true;
}

static void end_round(struct load *load, struct load_slot *slot)
{
    uint64_t now_ns = load_now_ns();
    for (unsigned i = 0; slot->wait_bad && i < slot->request_count; i++)
        slot->bad += slot->requests[i].op == LOAD_SET;
    unsigned wanted = slot->request_count;
    wanted -= slot->requests[wanted - 1].op == LOAD_WAIT;
    unsigned bad = slot->bad < wanted ? slot->bad : wanted;
    load->errors += bad;
    load->done += wanted - bad;
    if (bad == 0)
        summary_add(&load->summary, now_ns - slot->began_ns);
    load->ended_ns = now_ns;
    bool over = load->options.mode != LOAD_MODE_FILL && now_ns >= load->end_ns;
    if (over || !begin_round(load, slot))
        load->live--;
}

void load_answered(struct load *load, struct load_request *request, bool good)
{
    struct load_slot *slot = request->slot;
    if (!good && request->op == LOAD_WAIT)
        slot->wait_bad = true;
    else if (!good)
        slot->bad++;
    TORC_ASSERT(slot->answered < slot->request_count);
    if (++slot->answered == slot->request_count)
        end_round(load, slot);
}

static void watch_all(struct load *load, int epoll_fd)
{
    for (unsigned i = 0; i < load->options.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &load->connections[i]};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, load->connections[i].fd, &event) != 0)
            load_die("epoll_ctl: %s", strerror(errno));
    }
}

static void turn(struct load *load, int epoll_fd)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll_fd, events, EVENTS_MAX, SILENCE_MS_MAX);
    if (count < 0 && errno != EINTR)
        load_die("epoll_wait: %s", strerror(errno));
    if (count == 0)
        load_die("no reply for %d s", SILENCE_MS_MAX / 1000);
    for (int i = 0; i < count; i++)
        load->options.backend->receive(load, events[i].data.ptr);
}

static void report_when_due(struct load *load)
{
    uint64_t due_ns = load->begin_ns + load->options.report_seconds * UINT64_C(1000000000);
    if (load->options.report_seconds == 0 || load->ended_ns < due_ns || load->live == 0)
        return;
    load->options.report(load);
    load->begin_ns = load->ended_ns;
    load->done = load->errors = 0;
    load->summary = (struct summary){0};
}

void load_run(struct load *load)
{
    const struct load_options *options = &load->options;
    const struct base_allocator *allocator = base_allocator_system();
    size_t slots_size = options->clients * sizeof(*load->slots);
    size_t connections_size = options->connections * sizeof(*load->connections);
    load->slots = base_alloc(allocator, slots_size);
    load->connections = base_alloc(allocator, connections_size);
    memset(load->slots, 0, slots_size);
    memset(load->connections, 0, connections_size);
    load->prng = base_prng_seeded(options->seed);
    data_choice_init(&load->choice, options->key_count, options->zipf, 0.99);
    options->backend->open(load);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        load_die("epoll_create1: %s", strerror(errno));
    watch_all(load, epoll_fd);
    load->begin_ns = load->ended_ns = load_now_ns();
    load->end_ns = load->begin_ns + options->seconds * UINT64_C(1000000000);
    for (unsigned i = 0; i < options->clients; i++) {
        struct load_slot *slot = &load->slots[i];
        slot->connection = &load->connections[i % options->connections];
        slot->connection->slot = slot;
        load->live += begin_round(load, slot);
    }
    while (load->live > 0) {
        turn(load, epoll_fd);
        report_when_due(load);
    }
    options->backend->close(load);
    base_free(allocator, load->connections, connections_size);
    base_free(allocator, load->slots, slots_size);
}

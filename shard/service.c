#include "shard/service.h"

#include <string.h>

#include "base/assert.h"
#include "base/hlc.h"
#include "base/mutant.h"
#include "ring/token.h"
#include "shard/pending.h"
#include "shard/waiting.h"

enum {
    SERVICE_REMOVAL_SIZE_MAX = 64 * 1024,
    SERVICE_READ_NONE = UINT32_MAX,
};

/* The reads of one message, waiting for the consensus read that covers them. */
struct service_reads {
    struct base_buffer *requests; /* NULL: the slot is free. */
    size_t answered;              /* Bytes of those that have their answers. */
    uint64_t route;
    uint32_t generation; /* Tells uses of the slot apart: consensus echoes it in the read's id. */
    uint32_t next_free;
    enum consensus_read_mode mode;
    bool again;  /* Not under way: to be begun again from the start. */
    bool locked; /* The same, when a lock has gone. */
};

/* Reads of the message that is being taken. */
struct service_list {
    struct base_bytes *items;
    size_t count, capacity;
};

struct service_route {
    uint64_t route;
    uint64_t sequence; /* Highest request sequence that came from it. */
};

struct shard_service {
    const struct base_allocator *allocator;
    struct base_pool *pool;
    const struct shard_birth *birth;
    struct shard_service_config config;
    struct shard_machine *machine;
    struct shard_group *group;

    struct shard_pending *pending;
    struct shard_waiting waiting; /* For an entry. */
    struct shard_waiting blocked; /* Those that met a lock. */
    bool unlocked;                /* Some lock has gone since they were looked at. */
    struct shard_txns *txns;
    uint32_t *owners; /* Scratch: the group of each operation's key. */
    size_t owners_capacity;
    struct shard_outcomes *outcomes; /* Of applied entries, shown when their batch is written. */
    struct shard_outcomes *answers;  /* Of records and reads, shown at once. */

    struct service_reads *reads;
    uint32_t reads_free, reads_again;

    struct service_route routes[SHARD_SERVICE_ROUTES_MAX];
    uint32_t route_count, route_next;

    bool leading;
    struct base_ballot ballot; /* Under which it leads. */
    struct shard_stamp stamp;
    bool tick_wanted;
    uint64_t own_slot; /* Of the last entry that the leader made by itself. */

    /* Scratch of one REQUEST message, kept. Reads as the group does them, and by a quorum. */
    struct service_list usual_reads, quorum_reads;
};

/* ---- Lifecycle
 * ------------------------------------------------------------------------------------ */

enum torc_status shard_service_new(const struct shard_service_config *config,
                                   const struct shard_birth *birth, struct store_kv *kv,
                                   struct base_pool *pool, const struct base_allocator *allocator,
                                   struct shard_service **ret_service)
{
    struct shard_machine *machine;
    enum torc_status status = shard_machine_open(&config->machine, kv, allocator, &machine);
    if (status != TORC_OK)
        return status;
    struct shard_service *service = base_alloc_zero(allocator, sizeof(*service));
    service->allocator = allocator;
    service->pool = pool;
    service->birth = birth;
    service->config = *config;
    service->machine = machine;
    service->pending = shard_pending_new(allocator, config->pending_max);
    service->waiting = service->blocked = shard_waiting_empty(allocator);
    struct shard_txns_config txns = shard_txns_preset(
        config->machine.group, config->entry_bytes_max - WIRE_ENTRY_HEADER_SIZE, config->seed);
    service->txns = shard_txns_new(&txns, machine, allocator);
    service->outcomes = shard_outcomes_new(allocator);
    service->answers = shard_outcomes_new(allocator);
    service->reads = base_alloc_zero(allocator, config->read_batches_max * sizeof(*service->reads));
    for (uint32_t i = 0; i < config->read_batches_max; i++)
        service->reads[i].next_free = i + 1 < config->read_batches_max ? i + 1 : SERVICE_READ_NONE;
    *ret_service = service;
    return TORC_OK;
}

static void list_free(const struct shard_service *service, struct service_list *list)
{
    base_array_free(service->allocator, list->items, &list->capacity, sizeof(*list->items));
}

static void list_append(const struct shard_service *service, struct service_list *list,
                        struct base_bytes item)
{
    list->items = base_array_reserve(service->allocator, list->items, &list->capacity,
                                     list->count + 1, sizeof(*list->items));
    list->items[list->count++] = item;
}

void shard_service_free(struct shard_service *service)
{
    if (service == NULL)
        return;
    const struct base_allocator *allocator = service->allocator;
    for (uint32_t i = 0; i < service->config.read_batches_max; i++)
        base_buffer_unref(service->reads[i].requests);
    base_free(allocator, service->reads,
              service->config.read_batches_max * sizeof(*service->reads));
    shard_waiting_fini(&service->waiting);
    shard_waiting_fini(&service->blocked);
    base_array_free(allocator, service->owners, &service->owners_capacity,
                    sizeof(*service->owners));
    shard_txns_free(service->txns);
    list_free(service, &service->usual_reads);
    list_free(service, &service->quorum_reads);
    shard_outcomes_free(service->outcomes);
    shard_outcomes_free(service->answers);
    shard_pending_free(service->pending);
    shard_machine_close(service->machine);
    base_free(allocator, service, sizeof(*service));
}

void shard_service_attach(struct shard_service *service, struct shard_group *group)
{
    TORC_ASSERT(service->group == NULL);
    service->group = group;
}

/* ---- Small helpers
 * -------------------------------------------------------------------------------- */

static uint64_t machine_clock(const struct shard_service *service)
{
    struct shard_machine_info info;
    shard_machine_info(service->machine, &info);
    return info.clock;
}

static uint64_t median_ms(const struct shard_service *service, const struct shard_clocks *clocks,
                          uint64_t now_ms)
{
    uint32_t voters[CONSENSUS_MEMBERS_MAX];
    uint32_t count = shard_group_voters(service->group, voters);
    return shard_clocks_median(clocks, voters, count, now_ms);
}

static uint64_t next_stamp(struct shard_service *service, const struct shard_clocks *clocks,
                           uint64_t now_ms)
{
    return shard_stamp_next(&service->stamp, machine_clock(service),
                            median_ms(service, clocks, now_ms), now_ms);
}

uint64_t shard_service_stamp(struct shard_service *service, const struct shard_clocks *clocks,
                             uint64_t now_ms)
{
    return service->leading ? next_stamp(service, clocks, now_ms) : 0;
}

static void answer_status(struct shard_service *service, struct shard_turn *turn, uint64_t route,
                          enum wire_answer_status status, uint64_t number, uint64_t detail)
{
    shard_replies_add_status(&turn->replies, turn->allocator, route, shard_group_id(service->group),
                             status, number, machine_clock(service), detail);
}

/* Sends what stands in `answers` to one requester. */
static void show_answers(struct shard_service *service, struct shard_turn *turn, uint64_t route)
{
    size_t cursor = 0;
    struct shard_outcome outcome;
    while (shard_outcomes_next(service->answers, &cursor, &outcome)) {
        shard_replies_add(&turn->replies, turn->allocator, route, shard_group_id(service->group),
                          outcome.answer);
    }
    shard_outcomes_clear(service->answers);
}

void shard_service_heard(struct shard_service *service, uint64_t route, uint64_t sequence)
{
    for (uint32_t i = 0; i < service->route_count; i++) {
        if (service->routes[i].route == route) {
            if (service->routes[i].sequence < sequence)
                service->routes[i].sequence = sequence;
            return;
        }
    }
    /* Past the bound the longest known gives way; should it still live, its next message brings it
     * back. */
    uint32_t at = service->route_next;
    service->route_next = (at + 1) % SHARD_SERVICE_ROUTES_MAX;
    if (service->route_count < SHARD_SERVICE_ROUTES_MAX)
        service->route_count++;
    service->routes[at] = (struct service_route){.route = route, .sequence = sequence};
}

uint64_t shard_service_credit(const struct shard_service *service, uint64_t route)
{
    uint64_t room = service->config.pending_max - shard_pending_count(service->pending);
    if (room > service->config.credit)
        room = service->config.credit;
    for (uint32_t i = 0; i < service->route_count; i++) {
        if (service->routes[i].route != route)
            continue;
        uint64_t sequence = service->routes[i].sequence;
        return sequence > UINT64_MAX - room ? UINT64_MAX : sequence + room;
    }
    return room;
}

uint32_t shard_service_leader_node(const struct shard_service *service)
{
    struct consensus_info info;
    shard_group_info(service->group, &info);
    return shard_group_node_of(service->group, info.leader);
}

bool shard_service_leads(const struct shard_service *service)
{
    return service->leading;
}

/* ---- Writes
 * --------------------------------------------------------------------------------------- */

static struct wire_request request_at(const struct shard_service *service, struct base_bytes bytes)
{
    struct wire_request request;
    enum torc_status status = wire_request_read(bytes, &service->config.machine.limits, &request);
    TORC_ASSERT(status == TORC_OK);
    return request;
}

/* The first of the writes that wait, as many as an entry holds. TORC_FULL: no room in the pool or
 * the window. */
static enum torc_status propose_entry(struct shard_service *service, uint64_t stamp,
                                      struct shard_turn *turn)
{
    struct base_bytes waiting = shard_waiting_bytes(&service->waiting);
    size_t size = 0, next = wire_request_size(waiting);
    uint32_t count = 0;
    do {
        size += next;
        count++;
        next = size < waiting.size
                   ? wire_request_size(base_bytes_of(waiting.data + size, waiting.size - size))
                   : 0;
    } while (next > 0 && WIRE_ENTRY_HEADER_SIZE + size + next <= service->config.entry_bytes_max);
    struct base_buffer *entry = base_buffer_new(service->pool, WIRE_ENTRY_HEADER_SIZE + size);
    if (entry == NULL)
        return TORC_FULL;
    size_t at = wire_entry_begin(entry->data, entry->size, stamp, count);
    memcpy(entry->data + at, waiting.data, size);
    enum torc_status status = shard_group_propose(service->group, entry, turn->now_ms);
    base_buffer_unref(entry);
    if (status == TORC_OK)
        shard_waiting_drop(&service->waiting, size);
    return status;
}

/* What waits was not proposed: nothing happened, and the answer says so. */
static void refuse_waiting(struct shard_service *service, struct shard_waiting *waiting,
                           struct shard_turn *turn)
{
    uint32_t leader = shard_service_leader_node(service);
    for (struct base_bytes rest; (rest = shard_waiting_bytes(waiting)).size > 0;) {
        struct wire_request request = request_at(service, rest);
        uint64_t route;
        if (shard_pending_take(service->pending, request.client, request.number, &route))
            answer_status(service, turn, route, WIRE_NOT_LEADER, request.number, leader);
        shard_waiting_drop(waiting, request.encoded.size);
    }
}

static void propose_waiting(struct shard_service *service, const struct shard_clocks *clocks,
                            struct shard_turn *turn)
{
    while (service->waiting.end > 0) {
        struct consensus_info info;
        shard_group_info(service->group, &info);
        if (info.inflight >= service->config.entries_max)
            return;
        enum torc_status status =
            propose_entry(service, next_stamp(service, clocks, turn->now_ms), turn);
        if (status == TORC_FULL)
            return;
        if (status != TORC_OK)
            refuse_waiting(service, &service->waiting, turn);
    }
}

/* Those whose locks have gone wait for an entry again, in their order. False: some find no room. */
static bool unblock(struct shard_service *service)
{
    struct base_bytes rest = shard_waiting_bytes(&service->blocked);
    struct shard_waiting kept = shard_waiting_empty(service->allocator);
    bool all = true;
    if (!service->unlocked || rest.size == 0)
        return true;
    while (rest.size > 0) {
        struct wire_request request = request_at(service, rest);
        bool barred = shard_txn_bars(service->machine, &request);
        bool moved = !barred && shard_waiting_add(&service->waiting, request.encoded);
        all &= barred || moved;
        if (!moved) {
            bool added = shard_waiting_add(&kept, request.encoded);
            TORC_ASSERT(added);
        }
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
    }
    shard_waiting_fini(&service->blocked);
    service->blocked = kept;
    return all;
}

/* Where the keys of a request are. False: it is to be taken like one of this group alone. */
static bool is_spread(struct shard_service *service, const struct wire_request *request)
{
    unsigned vnode_bits = service->config.machine.vnode_bits;
    uint32_t group = service->config.machine.group;
    bool spread = false, writes = false;
    struct wire_op op;
    size_t cursor = 0;
    service->owners =
        base_array_reserve(service->allocator, service->owners, &service->owners_capacity,
                           request->op_count, sizeof(*service->owners));
    for (uint16_t i = 0; wire_op_next(request, &cursor, &op); i++) {
        uint32_t vnode = ring_vnode(ring_token(op.key, vnode_bits), vnode_bits);
        bool own = op.key.size > 0 && shard_machine_owns(service->machine, vnode);
        /* Who is told "moved" by this group asks whoever owns the first key that it writes. */
        if (op.key.size == 0 || (!own && wire_op_writes(op.type) && !writes) ||
            (!own && service->config.map->version == 0))
            return false;
        writes |= wire_op_writes(op.type);
        service->owners[i] = own ? group : service->config.map->owners[vnode];
        if (!own && service->owners[i] == group)
            return false; /* The map is older than the group's state. */
        spread |= !own;
    }
    return spread;
}

/* Begins a transaction over several groups: its outcome comes later. */
static enum torc_status begin_spread(struct shard_service *service,
                                     const struct wire_request *request, uint64_t stamp,
                                     uint64_t now_ms)
{
    if (!shard_txns_leads(service->txns))
        return TORC_BUSY;
    uint64_t last_ms = base_hlc_to_ms(request->last_time), stamp_ms = base_hlc_to_ms(stamp);
    uint64_t left_ms = last_ms > stamp_ms ? last_ms - stamp_ms : 0;
    return shard_txns_begin(service->txns, request, service->owners, now_ms + left_ms);
}

/* Takes one request that writes: it waits for an entry, or is answered. */
static void admit_write(struct shard_service *service, const struct wire_request *request,
                        uint64_t route, uint64_t stamp, struct shard_turn *turn)
{
    if (shard_pending_redirect(service->pending, request->client, request->number, route))
        return;
    if (WIRE_ENTRY_HEADER_SIZE + request->encoded.size > service->config.entry_bytes_max) {
        answer_status(service, turn, route, WIRE_REFUSED, request->number, TORC_TOO_LARGE);
        return;
    }
    enum torc_status status =
        shard_machine_admit(service->machine, request, stamp, service->answers);
    if (status == TORC_EXISTS) {
        show_answers(service, turn, route);
        return;
    }
    if (status == TORC_INVALID) {
        bool internal = (request->flags & WIRE_REQUEST_INTERNAL) != 0;
        answer_status(service, turn, route, internal ? WIRE_REFUSED : WIRE_TOO_EARLY,
                      request->number, internal ? TORC_INVALID : 0);
        return;
    }
    bool spread = request->op_count > 1 && is_spread(service, request);
    if (status == TORC_OK && shard_pending_is_full(service->pending))
        status = TORC_BUSY;
    if (status == TORC_OK && spread) {
        status = begin_spread(service, request, stamp, turn->now_ms);
    } else if (status == TORC_OK) {
        bool barred = shard_txn_bars(service->machine, request) && !TORC_MUTANT(TXN_LOCKS_UNSEEN);
        struct shard_waiting *list = barred ? &service->blocked : &service->waiting;
        status = shard_waiting_add(list, request->encoded) ? TORC_OK : TORC_BUSY;
    }
    if (status != TORC_OK) {
        bool large = status == TORC_TOO_LARGE;
        answer_status(service, turn, route, large ? WIRE_REFUSED : WIRE_BUSY, request->number,
                      large ? TORC_TOO_LARGE : 0);
        return;
    }
    shard_pending_add(service->pending, request->client, request->number, route);
}

/* ---- Reads
 * ---------------------------------------------------------------------------------------- */

static uint64_t read_id(const struct shard_service *service, uint32_t slot)
{
    return (uint64_t)service->reads[slot].generation << 32 | slot;
}

static void free_reads(struct shard_service *service, uint32_t slot)
{
    struct service_reads *reads = &service->reads[slot];
    if (reads->again)
        service->reads_again--;
    reads->again = reads->locked = false;
    base_buffer_unref(reads->requests);
    reads->requests = NULL;
    reads->answered = 0;
    reads->generation++;
    reads->next_free = service->reads_free;
    service->reads_free = slot;
}

/* The reads of a message that have no answer yet. */
static struct base_bytes unanswered(const struct service_reads *reads)
{
    struct base_bytes all = base_buffer_bytes(reads->requests);
    return base_bytes_of(all.data + reads->answered, all.size - reads->answered);
}

/* Answers the other reads of a message with one status, and forgets them. */
static void refuse_reads(struct shard_service *service, uint32_t slot,
                         enum wire_answer_status status, uint64_t detail, struct shard_turn *turn)
{
    struct base_bytes rest = unanswered(&service->reads[slot]);
    while (rest.size > 0) {
        struct wire_request request;
        enum torc_status read = wire_request_read(rest, &service->config.machine.limits, &request);
        TORC_ASSERT(read == TORC_OK);
        answer_status(service, turn, service->reads[slot].route, status, request.number, detail);
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
    }
    free_reads(service, slot);
}

static void evaluate_reads(struct shard_service *service, uint32_t slot, struct shard_turn *turn);

static void begin_reads(struct shard_service *service, uint32_t slot, struct shard_turn *turn)
{
    if (TORC_MUTANT(FOLLOWER_READS) && !service->leading) {
        evaluate_reads(service, slot, turn);
        return;
    }
    enum torc_status status = shard_group_read(service->group, read_id(service, slot),
                                               service->reads[slot].mode, turn->now_ms);
    if (status == TORC_FULL)
        refuse_reads(service, slot, WIRE_BUSY, 0, turn);
    else if (status != TORC_OK)
        refuse_reads(service, slot, WIRE_NOT_LEADER, shard_service_leader_node(service), turn);
}

static void take_reads(struct shard_service *service, const struct service_list *list,
                       enum consensus_read_mode mode, uint64_t route, struct shard_turn *turn)
{
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++)
        size += list->items[i].size;
    uint32_t slot = service->reads_free;
    struct base_buffer *requests =
        slot == SERVICE_READ_NONE ? NULL : base_buffer_new(service->pool, size);
    if (requests == NULL) {
        for (size_t i = 0; i < list->count; i++) {
            struct wire_request request;
            enum torc_status read =
                wire_request_read(list->items[i], &service->config.machine.limits, &request);
            TORC_ASSERT(read == TORC_OK);
            answer_status(service, turn, route, WIRE_BUSY, request.number, 0);
        }
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < list->count; i++) {
        memcpy(requests->data + at, list->items[i].data, list->items[i].size);
        at += list->items[i].size;
    }
    service->reads_free = service->reads[slot].next_free;
    service->reads[slot].requests = requests;
    service->reads[slot].route = route;
    service->reads[slot].mode = mode;
    begin_reads(service, slot, turn);
}

static void read_again(struct shard_service *service, uint32_t slot)
{
    service->reads[slot].again = true;
    service->reads_again++;
}

/* Evaluates the reads of a message on the state as it is now; from one that meets an expired key,
 * or past what a turn may answer, they begin again. */
static void evaluate_reads(struct shard_service *service, uint32_t slot, struct shard_turn *turn)
{
    struct service_reads *reads = &service->reads[slot];
    for (struct base_bytes rest; (rest = unanswered(reads)).size > 0;) {
        if (shard_replies_are_full(&turn->replies)) {
            read_again(service, slot);
            return;
        }
        struct wire_request request;
        enum torc_status status =
            wire_request_read(rest, &service->config.machine.limits, &request);
        TORC_ASSERT(status == TORC_OK);
        status =
            shard_machine_read(service->machine, &request, service->stamp.last, service->answers);
        if (status != TORC_OK) {
            shard_outcomes_clear(service->answers);
            service->tick_wanted |= status == TORC_STALE;
            if (status == TORC_STALE)
                read_again(service, slot);
            else if (status == TORC_BUSY)
                reads->locked = true;
            else
                refuse_reads(service, slot, WIRE_REFUSED, (uint64_t)status, turn);
            return;
        }
        show_answers(service, turn, reads->route);
        reads->answered += request.encoded.size;
    }
    free_reads(service, slot);
}

/* A STALE read, answered from the state as it stands if that is surely not too old; false: it is
 * not for this replica to say. Nothing here may lead, and no clock is moved for what has expired
 * since.
 */
static bool read_stale(struct shard_service *service, const struct wire_request *request,
                       uint64_t route, struct shard_turn *turn)
{
    struct consensus_info info;
    shard_group_info(service->group, &info);
    uint64_t age_ms = turn->now_ms - info.fresh_at_ms;
    if (info.fresh_at_ms == 0 || (age_ms > request->last_time && !TORC_MUTANT(STALE_AGE_IGNORED)) ||
        shard_group_is_stalled(service->group))
        return false;
    if (shard_replies_are_full(&turn->replies)) {
        answer_status(service, turn, route, WIRE_BUSY, request->number, 0);
        return true;
    }
    if (shard_machine_read(service->machine, request, 0 /* stamp */, service->answers) != TORC_OK) {
        shard_outcomes_clear(service->answers);
        return false;
    }
    show_answers(service, turn, route);
    return true;
}

static void on_read(void *state, const struct consensus_read *read, struct shard_turn *turn)
{
    struct shard_service *service = state;
    uint32_t slot = (uint32_t)read->id;
    TORC_ASSERT(slot < service->config.read_batches_max);
    if (service->reads[slot].requests == NULL || read_id(service, slot) != read->id)
        return;
    if (read->status != TORC_OK)
        refuse_reads(service, slot, WIRE_NOT_LEADER, shard_service_leader_node(service), turn);
    else if (shard_group_is_stalled(service->group))
        read_again(service, slot); /* What is applied is not written yet: there is no one state. */
    else if (read->by_lease && !shard_group_lease_holds(service->group, turn->now_ms))
        read_again(service, slot); /* It ran out meanwhile: a majority is asked. */
    else
        evaluate_reads(service, slot, turn);
}

/* ---- Leadership
 * ----------------------------------------------------------------------------------- */

static void stop_leading(struct shard_service *service, struct shard_turn *turn)
{
    uint64_t number, route;
    shard_txns_retire(service->txns);
    refuse_waiting(service, &service->waiting, turn);
    refuse_waiting(service, &service->blocked, turn);
    while (shard_pending_take_oldest(service->pending, &number, &route))
        answer_status(service, turn, route,
                      TORC_MUTANT(DEPOSED_SAYS_NOT_LEADER) ? WIRE_NOT_LEADER : WIRE_NO_ANSWER,
                      number, 0);
    for (uint32_t i = 0; i < service->config.read_batches_max; i++) {
        if (service->reads[i].requests != NULL)
            refuse_reads(service, i, WIRE_NOT_LEADER, shard_service_leader_node(service), turn);
    }
    TORC_ASSERT(service->reads_again == 0);
    service->tick_wanted = false;
    service->leading = false;
}

/* Notices that leadership came or went, and gives up what is pending when it went. */
static bool follow_leadership(struct shard_service *service, const struct consensus_info *info,
                              struct shard_turn *turn)
{
    bool leads = info->role == CONSENSUS_LEADER;
    if (service->leading && (!leads || !base_ballot_equal(info->ballot, service->ballot)))
        stop_leading(service, turn);
    if (leads && !service->leading) {
        service->leading = true;
        service->ballot = info->ballot;
        service->own_slot = 0;
        service->stamp = (struct shard_stamp){0};
    }
    return leads;
}

/* ---- Requests
 * ------------------------------------------------------------------------------------- */

/* A request that could not be read is answered if its head is there. Returns its size if those
 * behind it can be read nevertheless, else 0. */
static size_t refuse_unreadable(struct shard_service *service, struct base_bytes rest,
                                uint64_t route, enum torc_status why, struct shard_turn *turn)
{
    if (rest.size < WIRE_REQUEST_HEADER_SIZE)
        return 0;
    answer_status(service, turn, route, WIRE_REFUSED, base_get_le64(rest.data + 24), (uint64_t)why);
    uint32_t size = base_get_le32(rest.data + 4);
    return why == TORC_TOO_LARGE && size <= rest.size ? size : 0;
}

static void sort_request(struct shard_service *service, const struct wire_request *request,
                         const struct shard_request_batch *batch, uint64_t stamp,
                         struct shard_turn *turn)
{
    if (wire_request_writes(request)) {
        admit_write(service, request, batch->route, stamp, turn);
    } else if (request->flags == WIRE_REQUEST_QUORUM) {
        list_append(service, &service->quorum_reads, request->encoded);
    } else {
        list_append(service, &service->usual_reads, request->encoded);
    }
}

/* The requests of a message into their lists, those to be refused answered. */
static void sort_requests(struct shard_service *service, const struct shard_request_batch *batch,
                          bool leads, uint64_t stamp, struct shard_turn *turn)
{
    struct base_bytes rest = batch->requests;
    for (uint32_t i = 0; i < batch->request_count; i++) {
        struct wire_request request;
        enum torc_status status =
            wire_request_read(rest, &service->config.machine.limits, &request);
        size_t size = status == TORC_OK
                          ? request.encoded.size
                          : refuse_unreadable(service, rest, batch->route, status, turn);
        if (size == 0)
            return;
        rest = base_bytes_of(rest.data + size, rest.size - size);
        if (status != TORC_OK)
            continue;
        if (request.flags == WIRE_REQUEST_STALE &&
            read_stale(service, &request, batch->route, turn))
            continue;
        if (leads || (TORC_MUTANT(FOLLOWER_READS) && !wire_request_writes(&request)))
            sort_request(service, &request, batch, stamp, turn);
        else
            answer_status(service, turn, batch->route, WIRE_NOT_LEADER, request.number,
                          shard_service_leader_node(service));
    }
}

void shard_service_request(struct shard_service *service, const struct shard_request_batch *batch,
                           const struct shard_clocks *clocks, struct shard_turn *turn)
{
    if (batch->request_count > 0 && batch->sequence <= UINT64_MAX - batch->request_count)
        shard_service_heard(service, batch->route, batch->sequence + batch->request_count - 1);
    struct consensus_info info;
    shard_group_info(service->group, &info);
    struct shard_machine_info machine;
    shard_machine_info(service->machine, &machine);
    bool leads = follow_leadership(service, &info, turn) && machine.genesis;
    uint64_t stamp = leads ? next_stamp(service, clocks, turn->now_ms) : 0;
    service->usual_reads.count = service->quorum_reads.count = 0;
    sort_requests(service, batch, leads, stamp, turn);
    if (service->usual_reads.count > 0)
        take_reads(service, &service->usual_reads, service->config.read_mode, batch->route, turn);
    if (service->quorum_reads.count > 0)
        take_reads(service, &service->quorum_reads, CONSENSUS_READ_QUORUM, batch->route, turn);
}

/* ---- The state of the group
 * ------------------------------------------------------------------------ */

static enum torc_status on_apply(void *state, const struct shard_apply *apply,
                                 struct store_batch *batch)
{
    struct shard_service *service = state;
    return shard_machine_apply(service->machine, apply, batch, service->outcomes);
}

/* Sends an outcome to who waits for it here, if anybody does. */
static void answer_pending(struct shard_service *service, struct wire_client_id client,
                           uint64_t number, struct base_bytes answer, struct shard_turn *turn)
{
    uint64_t route;
    if (!shard_pending_take(service->pending, client, number, &route))
        return;
    if (TORC_MUTANT(OUTCOME_TO_WRONG_ROUTE))
        route ^= UINT64_C(1) << 32;
    shard_replies_add(&turn->replies, turn->allocator, route, shard_group_id(service->group),
                      answer);
}

/* A request that met a lock when it was applied, and did nothing, waits for the lock. */
static void block(struct shard_service *service, const struct shard_outcome *outcome,
                  struct shard_turn *turn)
{
    uint64_t route;
    if (!shard_pending_has(service->pending, outcome->client, outcome->number) ||
        shard_waiting_add(&service->blocked, outcome->answer))
        return;
    if (shard_pending_take(service->pending, outcome->client, outcome->number, &route))
        answer_status(service, turn, route, WIRE_BUSY, outcome->number, 0);
}

static void on_applied(void *state, struct shard_turn *turn)
{
    struct shard_service *service = state;
    shard_machine_applied(service->machine);
    size_t cursor = 0;
    struct shard_outcome outcome;
    while (shard_outcomes_next(service->outcomes, &cursor, &outcome)) {
        if (outcome.kind == SHARD_ANSWERED)
            answer_pending(service, outcome.client, outcome.number, outcome.answer, turn);
        else if (outcome.kind == SHARD_LOCKED)
            block(service, &outcome, turn);
        else
            shard_txns_applied(service->txns, &outcome);
        service->unlocked |= outcome.kind == SHARD_TXN_END || outcome.kind == SHARD_TXN_COMMIT;
    }
    shard_outcomes_clear(service->outcomes);
}

const struct shard_state_type shard_service_state = {
    .apply = on_apply, .applied = on_applied, .read = on_read};

/* ---- What the leader does by itself
 * ------------------------------------------------------------------ */

/* Has an entry with one request of the leader's own chosen. False: not now. */
static bool propose_own(struct shard_service *service, const uint8_t *request, size_t size,
                        uint64_t stamp, struct shard_turn *turn)
{
    struct base_buffer *entry = base_buffer_new(service->pool, WIRE_ENTRY_HEADER_SIZE + size);
    if (entry == NULL)
        return false;
    size_t at = wire_entry_begin(entry->data, entry->size, stamp, 1 /* request */);
    memcpy(entry->data + at, request, size);
    enum torc_status status = shard_group_propose(service->group, entry, turn->now_ms);
    base_buffer_unref(entry);
    if (status != TORC_OK)
        return false;
    struct consensus_info info;
    shard_group_info(service->group, &info);
    service->own_slot = info.last;
    return true;
}

static bool propose_genesis(struct shard_service *service, uint64_t stamp, struct shard_turn *turn)
{
    uint32_t count = service->birth->vnode_count;
    size_t vnodes_size = (count + 1) * sizeof(struct shard_vnode);
    struct shard_vnode *vnodes = base_alloc(service->allocator, vnodes_size);
    for (uint32_t i = 0; i < count; i++)
        vnodes[i] = (struct shard_vnode){.vnode = service->birth->vnodes[i], .epoch = 1};
    size_t size = shard_genesis_size(count);
    uint8_t *request = base_alloc(service->allocator, size);
    size_t written = shard_genesis_write(vnodes, count, request, size);
    TORC_ASSERT(written == size);
    bool proposed = propose_own(service, request, size, stamp, turn);
    base_free(service->allocator, request, size);
    base_free(service->allocator, vnodes, vnodes_size);
    return proposed;
}

static bool propose_tick(struct shard_service *service, uint64_t stamp, struct shard_turn *turn)
{
    uint8_t request[256];
    size_t size = shard_tick_write(request, sizeof(request));
    return propose_own(service, request, size, stamp, turn);
}

static bool propose_removal(struct shard_service *service, uint64_t stamp, struct shard_turn *turn)
{
    uint8_t *request = base_alloc(service->allocator, SERVICE_REMOVAL_SIZE_MAX);
    size_t size;
    enum torc_status status = shard_removal_write(service->machine, SHARD_SERVICE_REMOVAL_KEYS_MAX,
                                                  request, SERVICE_REMOVAL_SIZE_MAX, &size);
    bool proposed =
        status == TORC_OK && size > 0 && propose_own(service, request, size, stamp, turn);
    base_free(service->allocator, request, SERVICE_REMOVAL_SIZE_MAX);
    return proposed;
}

/* What the leader has to have chosen by itself, one entry at a time. */
static void propose_own_work(struct shard_service *service, const struct shard_clocks *clocks,
                             struct shard_turn *turn)
{
    struct shard_machine_info machine;
    shard_machine_info(service->machine, &machine);
    if (machine.applied < service->own_slot)
        return;
    uint64_t stamp = next_stamp(service, clocks, turn->now_ms);
    uint64_t stamp_ms = base_hlc_to_ms(stamp);
    if (!machine.genesis) {
        propose_genesis(service, stamp, turn);
        return;
    }
    bool expired = machine.next_expiry_ms != 0 && machine.next_expiry_ms <= stamp_ms;
    bool clock_behind = base_hlc_to_ms(machine.clock) < machine.next_expiry_ms;
    if (service->tick_wanted || (expired && clock_behind)) {
        if (propose_tick(service, stamp, turn))
            service->tick_wanted = false;
    } else if (expired) {
        propose_removal(service, stamp, turn);
    }
}

/* Those that met a lock, when one has gone. */
static void unlock_reads(struct shard_service *service)
{
    for (uint32_t i = 0; i < service->config.read_batches_max && service->unlocked; i++) {
        if (service->reads[i].requests == NULL || !service->reads[i].locked)
            continue;
        service->reads[i].locked = false;
        read_again(service, i);
    }
}

/* Reads that met an expired key, or a stalled state, begin again from the start. */
static void begin_reads_again(struct shard_service *service, struct shard_turn *turn)
{
    struct shard_machine_info machine;
    shard_machine_info(service->machine, &machine);
    if (service->tick_wanted || machine.applied < service->own_slot)
        return;
    for (uint32_t i = 0; i < service->config.read_batches_max && service->reads_again > 0; i++) {
        if (service->reads[i].requests == NULL || !service->reads[i].again)
            continue;
        service->reads[i].again = false;
        service->reads_again--;
        begin_reads(service, i, turn);
    }
}

/* ---- Transactions
 * -------------------------------------------------------------------------------- */

struct service_at_turn { /* The context of a sink. */
    struct shard_service *service;
    struct shard_turn *turn;
};

static bool txn_propose(void *context, struct base_bytes request)
{
    struct service_at_turn *at = context;
    return shard_waiting_add(&at->service->waiting, request);
}

static void txn_send(void *context, const struct shard_txn_message *message)
{
    struct service_at_turn *at = context;
    at->turn->transaction(at->turn->context, message);
}

static void txn_answer(void *context, struct wire_client_id client, uint64_t number,
                       struct base_bytes answer)
{
    struct service_at_turn *at = context;
    answer_pending(at->service, client, number, answer, at->turn);
}

static void lead_transactions(struct shard_service *service, const struct consensus_info *info,
                              struct shard_turn *turn)
{
    struct service_at_turn at = {service, turn};
    struct shard_txns_sink sink = {txn_propose, txn_send, txn_answer, &at};
    if (!shard_txns_leads(service->txns))
        shard_txns_lead(service->txns, info->ballot, turn->now_ms);
    if (shard_txns_wake_at(service->txns) <= turn->now_ms)
        shard_txns_turn(service->txns, turn->now_ms, &sink);
}

enum torc_status shard_service_transaction(struct shard_service *service,
                                           const struct shard_txn_message *message)
{
    return shard_txns_receive(service->txns, message);
}

void shard_service_lead(struct shard_service *service, const struct shard_clocks *clocks,
                        struct shard_turn *turn)
{
    struct consensus_info info;
    shard_group_info(service->group, &info);
    if (!follow_leadership(service, &info, turn))
        return;
    propose_waiting(service, clocks, turn);
    /* While what is applied is not written there is no one state to make entries from. */
    if (!info.serving || info.transferring || shard_group_is_stalled(service->group))
        return;
    propose_own_work(service, clocks, turn);
    lead_transactions(service, &info, turn);
    unlock_reads(service);
    service->unlocked = !unblock(service);
    propose_waiting(service, clocks, turn);
    if (service->reads_again > 0)
        begin_reads_again(service, turn);
}

bool shard_service_has_work(const struct shard_service *service)
{
    struct shard_machine_info machine;
    shard_machine_info(service->machine, &machine);
    bool reads = service->reads_again > 0 && machine.applied >= service->own_slot;
    bool txns = shard_txns_leads(service->txns) && shard_txns_wake_at(service->txns) == 0;
    bool unblocks = service->unlocked && service->blocked.end > 0;
    return service->leading && (reads || txns || unblocks) &&
           !shard_group_is_stalled(service->group);
}

uint64_t shard_service_wake_at(const struct shard_service *service,
                               const struct shard_clocks *clocks, uint64_t now_ms)
{
    struct shard_machine_info machine;
    shard_machine_info(service->machine, &machine);
    if (!service->leading || shard_group_is_stalled(service->group))
        return UINT64_MAX;
    uint64_t wake_at = shard_txns_wake_at(service->txns);
    if (machine.next_expiry_ms == 0 || machine.applied < service->own_slot)
        return wake_at;
    uint64_t clock_ms = median_ms(service, clocks, now_ms);
    uint64_t expiry_at = machine.next_expiry_ms <= clock_ms
                             ? now_ms + 1
                             : now_ms + (machine.next_expiry_ms - clock_ms);
    return expiry_at < wake_at ? expiry_at : wake_at;
}

const struct shard_machine *shard_service_machine(const struct shard_service *service)
{
    return service->machine;
}

uint64_t shard_service_flushed(struct shard_service *service)
{
    return shard_machine_flushed(service->machine);
}

void shard_service_check(const struct shard_service *service)
{
    shard_machine_check(service->machine);
    shard_group_check(service->group);
    if (!shard_group_is_stalled(service->group)) /* Else it has not been told of all of it. */
        shard_txns_check(service->txns);
    TORC_ASSERT(shard_pending_count(service->pending) <= service->config.pending_max);
}

/* What a message says, for people, with --trace: below the line that it is sent, a line with the
 * same time and place for each group's message of consensus, entry, request and answer in it. */
#include "base/hlc.h"
#include "paxos/paxos.h"
#include "shard/codec.h"
#include "tests/sim/sim.h"

static const struct wire_limits no_limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX};

static void begin(const struct sim *sim, const struct sim_head *head, uint32_t group)
{
    char from[8], to[8];
    printf("%12llu %-4s . to %s: group %u", (unsigned long long)sim->now_us,
           sim_place_name(head->from, from), sim_place_name(head->to, to), group);
}

/* A group's clock: milliseconds of wall time and ticks. */
static void print_clock(const char *label, uint64_t clock)
{
    printf(" %s %llu.%llu", label, (unsigned long long)base_hlc_to_ms(clock),
           (unsigned long long)(clock & (base_hlc_from_ms(1) - 1)));
}

static void print_ballot(const char *label, const Torc__Wire__Ballot *ballot)
{
    if (ballot != NULL)
        printf(" %s %llu.%u", label, (unsigned long long)ballot->round, ballot->node);
}

/* Prints requests that stand one after the other, ids only or in full. */
static void print_requests(struct base_bytes rest, uint32_t count, bool full)
{
    struct wire_request request;
    for (uint32_t i = 0; i < count; i++) {
        if (wire_request_read(rest, &no_limits, &request) != TORC_OK)
            return;
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
        printf("%s %llu of %llu.%llu", i == 0 ? " request" : ",",
               (unsigned long long)request.number, (unsigned long long)request.client.high,
               (unsigned long long)request.client.low);
        struct wire_op op;
        print_clock("(last time", request.last_time);
        for (size_t cursor = 0; full && wire_op_next(&request, &cursor, &op);)
            printf(", %s %.*s", sim_op_name(op.type), (int)op.key.size, (const char *)op.key.data);
        putchar(')');
    }
}

/* ---- Consensus. */

static void print_flags(uint32_t flags)
{
    static const char *const names[] = {"YES", "BEHIND", "END", "HANDOVER", "AMNESIAC", "GONE"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((flags >> i & 1) != 0)
            printf(" %s", names[i]);
    }
}

static void print_entry(uint32_t group, const Torc__Wire__Entry *entry, struct base_bytes value)
{
    static const char *const kinds[] = {"?", "value", "no-op", "barrier"};
    printf(", slot %llu: %s", (unsigned long long)entry->slot,
           kinds[entry->kind < sizeof(kinds) / sizeof(kinds[0]) ? entry->kind : 0]);
    print_ballot("accepted at", entry->ballot);
    print_ballot("of", entry->origin);
    struct wire_entry read;
    if (group == SHARD_PLACEMENT_GROUP || entry->kind != CONSENSUS_VALUE ||
        wire_entry_read(value, &read) != TORC_OK)
        return;
    print_clock("stamp", read.clock);
    print_requests(read.requests, read.request_count, false);
}

static void print_entries(const struct sim *sim, const struct sim_head *head,
                          const Torc__Wire__GroupMessage *message, struct base_bytes *payload)
{
    for (size_t i = 0; i < message->n_entries; i++) {
        const Torc__Wire__Entry *entry = message->entries[i];
        size_t size = entry->value_size < payload->size ? entry->value_size : payload->size;
        begin(sim, head, message->group);
        print_entry(message->group, entry, base_bytes_of(payload->data, size));
        putchar('\n');
        *payload = base_bytes_of(payload->data + size, payload->size - size);
    }
}

static void print_group_message(const struct sim *sim, const struct sim_head *head,
                                const Torc__Wire__GroupMessage *message)
{
    begin(sim, head, message->group);
    printf(" %s", paxos_type.message_name((uint8_t)message->type));
    print_ballot("ballot", message->ballot);
    print_ballot("other", message->other);
    if (message->type == PAXOS_HEARTBEAT) /* `first` is a life there. */
        printf(" round %llu", (unsigned long long)message->round);
    else if (message->first != 0 || message->last != 0)
        printf(" slots %llu..%llu", (unsigned long long)message->first,
               (unsigned long long)message->last);
    printf(" chosen %llu", (unsigned long long)message->chosen);
    if (message->n_entries > 0)
        printf(" entries %zu", message->n_entries);
    print_flags(message->flags);
    putchar('\n');
}

static void print_consensus(const struct sim *sim, const struct sim_head *head,
                            const Torc__Wire__Consensus *body, struct base_bytes payload)
{
    for (size_t i = 0; i < body->n_messages; i++) {
        print_group_message(sim, head, body->messages[i]);
        print_entries(sim, head, body->messages[i], &payload);
    }
}

/* ---- Requests and their answers. */

static void print_request(const struct sim *sim, const struct sim_head *head,
                          const Torc__Wire__Request *body, struct base_bytes payload)
{
    begin(sim, head, body->group);
    print_requests(payload, body->request_count, true);
    putchar('\n');
}

static const char *answer_name(enum wire_answer_status status)
{
    static const char *const names[] = {"?",          "DONE", "CHECK_FAILED", "TOO_LATE", "MOVED",
                                        "NOT_LEADER", "BUSY", "REFUSED",      "NO_ANSWER"};
    return status < sizeof(names) / sizeof(names[0]) ? names[status] : "?";
}

static void print_reply(const struct sim *sim, const struct sim_head *head,
                        const Torc__Wire__Reply *body, struct base_bytes payload)
{
    begin(sim, head, body->group);
    print_clock("clock", body->clock);
    printf(" leader n%u", body->leader_node);
    struct wire_answer answer;
    for (uint32_t i = 0; i < body->answer_count && wire_answer_read(payload, &answer) == TORC_OK;
         i++) {
        printf(", answer to %llu: %s", (unsigned long long)answer.number,
               answer_name(answer.status));
        payload =
            base_bytes_of(payload.data + answer.encoded.size, payload.size - answer.encoded.size);
    }
    putchar('\n');
}

void sim_trace_message(struct sim *sim, const struct sim_head *head, struct base_bytes bytes)
{
    struct wire_envelope envelope;
    const ProtobufCMessage *body;
    if (!sim->trace || wire_envelope_read(bytes, &envelope) != TORC_OK ||
        wire_body_read(sim->arena, &envelope, &body) != TORC_OK)
        return;
    if (envelope.type == WIRE_TYPE_CONSENSUS)
        print_consensus(sim, head, (const Torc__Wire__Consensus *)body, envelope.payload);
    if (envelope.type == WIRE_TYPE_REQUEST)
        print_request(sim, head, (const Torc__Wire__Request *)body, envelope.payload);
    if (envelope.type == WIRE_TYPE_REPLY)
        print_reply(sim, head, (const Torc__Wire__Reply *)body, envelope.payload);
}

/* What happens, for people: a line each with --trace; and when a run fails, the last events that
 * have to do with it: those of the node, the group and the key that the checker names, and the
 * course of things. */
#include <stdlib.h>
#include <string.h>

#include "paxos/paxos.h"
#include "shard/codec.h"
#include "tests/sim/sim.h"

enum {
    TRACE_COURSE_MAX = 30,
    TRACE_NODE_MAX = 24,
    TRACE_GROUP_MAX = 16,
    TRACE_KEY_MAX = 16,
    TRACE_ANY_MAX = 20,
    TRACE_NOT_NAMED = UINT32_MAX,
};

enum trace_class {
    TRACE_COURSE, /* Faults, lives, leaders. */
    TRACE_TRAFFIC,
    TRACE_WORK,
    TRACE_CLIENT,
};

/* What the numbers of an event are; NULL: not said. */
static const struct trace_kind {
    const char *what;
    enum trace_class class;
    const char *labels[3];
} kinds[] = {
    {"send", TRACE_TRAFFIC, {NULL}},
    {"lost", TRACE_TRAFFIC, {NULL}},
    {"receive", TRACE_TRAFFIC, {NULL}},
    {"ask", TRACE_CLIENT, {NULL}},
    {"outcome", TRACE_CLIENT, {NULL}},
    {"durable", TRACE_WORK, {"batch", "batches of the node in it", "bytes of the log"}},
    {"applied", TRACE_WORK, {"group", "slot", "state"}},
    {"leads", TRACE_COURSE, {"group", "round", "applied"}},
    {"start", TRACE_COURSE, {"life", "last batch of its log", "incarnation"}},
    {"trap", TRACE_COURSE, {"step", "passes left", "power"}},
    {"pause", TRACE_COURSE, {"life", "us", NULL}},
    {"slow node", TRACE_COURSE, {"life", "us", NULL}},
    {"slow disk", TRACE_COURSE, {"life", "times", NULL}},
    {"drift", TRACE_COURSE, {"life", "rate", NULL}},
    {"leader singled out", TRACE_COURSE, {"group", "kind", "follower"}},
    {"partition by shape", TRACE_COURSE, {"shape", NULL, NULL}},
    {"flapping", TRACE_COURSE, {"to place", "times", NULL}},
    {"slow links", TRACE_COURSE, {"us", "all", NULL}},
    {"ambush", TRACE_COURSE, {"other node", NULL, NULL}},
    {"deposed", TRACE_COURSE, {"group", NULL, NULL}},
    {"late transfer", TRACE_COURSE, {"us", NULL, NULL}},
    {"candidate falls", TRACE_COURSE, {"group", NULL, NULL}},
    {"rot", TRACE_COURSE, {"life", "segment", "bit"}},
    {"rot of the state", TRACE_COURSE, {"group", "first byte", "end"}},
    {"disk fault to come", TRACE_COURSE, {"kind", NULL, NULL}},
    {"disk fault", TRACE_COURSE, {"kind", NULL, NULL}},
    {"refuses", TRACE_COURSE, {"life", NULL, NULL}},
    {"tail lost", TRACE_COURSE, {"life", "found batch", "called durable"}},
    {"tail lost, unknown", TRACE_COURSE, {"life", "found batch", "called durable"}},
};

static const struct trace_kind *kind_of(const char *what)
{
    static const struct trace_kind other = {"", TRACE_COURSE, {"life", NULL, NULL}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].what, what) == 0)
            return &kinds[i];
    }
    return &other;
}

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

static const char *op_name(uint64_t type)
{
    switch (type) {
#define TRACE_OP(name, number, writes)                                                             \
    case number:                                                                                   \
        return &#name[sizeof("WIRE_OP_") - 1];
        WIRE_OP_LIST(TRACE_OP)
#undef TRACE_OP
    default:
        return "?";
    }
}

static const char *outcome_name(uint64_t type)
{
    static const char *const names[] = {"?", "answered", "nothing done", "unknown", "refused"};
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

static void print_client(const struct sim *sim, const struct sim_trace *trace, FILE *out)
{
    const char *key = trace->a < sim->key_count ? sim->keys[trace->a].name : "?";
    unsigned long long c = trace->c;
    if (strcmp(trace->what, "ask") == 0)
        fprintf(out, "c%-3u asks %s %s, %llu bytes\n", trace->place + 1, op_name(trace->b), key, c);
    else
        fprintf(out, "c%-3u hears of %s: %s, version %llu\n", trace->place + 1, key,
                outcome_name(trace->b), c);
}

static void print_traffic(const struct sim_trace *trace, FILE *out)
{
    char one[8], other[8];
    const char *type = wire_type_name((enum wire_type)trace->b);
    if (strcmp(trace->what, "receive") == 0)
        fprintf(out, "%-4s receives %s from %s: %s\n", place_name(trace->place, one), type,
                place_name(trace->a, other), torc_status_text((enum torc_status)trace->c));
    else
        fprintf(out, "%-4s sends %s to %s, %llu bytes%s\n", place_name(trace->place, one), type,
                place_name(trace->a, other), (unsigned long long)trace->c,
                trace->what[0] == 'l' ? ": lost" : "");
}

static void print(const struct sim *sim, const struct sim_trace *trace, FILE *out)
{
    const struct trace_kind *kind = kind_of(trace->what);
    const uint64_t numbers[] = {trace->a, trace->b, trace->c};
    char name[8];
    fprintf(out, "%12llu ", (unsigned long long)trace->at_us);
    if (kind->class == TRACE_CLIENT) {
        print_client(sim, trace, out);
        return;
    }
    if (kind->class == TRACE_TRAFFIC) {
        print_traffic(trace, out);
        return;
    }
    fprintf(out, "%-4s %s", place_name(trace->place, name), trace->what);
    for (int i = 0; i < 3; i++) {
        if (kind->labels[i] != NULL)
            fprintf(out, "%s %s %llu", i == 0 ? ":" : ",", kind->labels[i],
                    (unsigned long long)numbers[i]);
    }
    fputc('\n', out);
}

void sim_trace(struct sim *sim, const char *what, uint32_t place, uint64_t a, uint64_t b,
               uint64_t c)
{
    struct sim_trace *trace = &sim->last[sim->trace_count++ % SIM_TRACE_MAX];
    *trace = (struct sim_trace){
        .at_us = sim->now_us, .what = what, .place = place, .a = a, .b = b, .c = c};
    if (sim->trace)
        print(sim, trace, stdout);
}

/* ---- What a message of consensus says, with --trace. */

static void print_group_message(const Torc__Wire__GroupMessage *message)
{
    printf("             . group %u %s", message->group,
           paxos_type.message_name((uint8_t)message->type));
    if (message->ballot != NULL)
        printf(" ballot %llu.%u", (unsigned long long)message->ballot->round,
               message->ballot->node);
    if (message->other != NULL)
        printf(" other %llu.%u", (unsigned long long)message->other->round, message->other->node);
    if (message->first != 0 || message->last != 0)
        printf(" slots %llu..%llu", (unsigned long long)message->first,
               (unsigned long long)message->last);
    printf(" chosen %llu", (unsigned long long)message->chosen);
    if (message->n_entries > 0)
        printf(" entries %zu", message->n_entries);
    putchar('\n');
}

void sim_trace_message(struct sim *sim, struct base_bytes bytes)
{
    struct wire_envelope envelope;
    const ProtobufCMessage *body;
    if (!sim->trace || wire_envelope_read(bytes, &envelope) != TORC_OK ||
        envelope.type != WIRE_TYPE_CONSENSUS ||
        wire_body_read(sim->arena, &envelope, &body) != TORC_OK)
        return;
    const Torc__Wire__Consensus *consensus = (const Torc__Wire__Consensus *)body;
    for (size_t i = 0; i < consensus->n_messages; i++)
        print_group_message(consensus->messages[i]);
}

/* ---- When a run fails. */

struct about { /* What the failure's sentence names; TRACE_NOT_NAMED: nothing of the kind. */
    uint32_t node, group, key;
};

static uint32_t number_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at == NULL ? TRACE_NOT_NAMED : (uint32_t)strtoul(at + strlen(word), NULL, 10);
}

static struct about about_of(const struct sim *sim, const char *text)
{
    struct about about = {.node = number_behind(text, "node "),
                          .group = number_behind(text, "group "),
                          .key = TRACE_NOT_NAMED};
    for (uint32_t i = 0; i < sim->key_count && about.key == TRACE_NOT_NAMED; i++) {
        char word[sizeof(sim->keys[i].name) + 2];
        snprintf(word, sizeof(word), " %s ", sim->keys[i].name);
        const char *name = strstr(text, "key=");
        if (strstr(text, word) != NULL ||
            (name != NULL && strncmp(name + 4, word + 1, strlen(word) - 1) == 0))
            about.key = i;
    }
    return about;
}

/* Which of the bounds an event counts against; NULL: it has nothing to do with the failure. */
static uint32_t *room_for(const struct sim_trace *trace, const struct about *about,
                          uint32_t *course, uint32_t *node, uint32_t *group, uint32_t *key)
{
    enum trace_class class = kind_of(trace->what)->class;
    if (class == TRACE_COURSE)
        return course;
    if (class == TRACE_CLIENT)
        return trace->a == about->key ? key : NULL;
    if (strcmp(trace->what, "applied") == 0 && trace->a == about->group)
        return group;
    return trace->place + 1 == about->node ? node : NULL;
}

void sim_trace_print(const struct sim *sim, const char *text, FILE *out)
{
    static bool shown[SIM_TRACE_MAX];
    struct about about = about_of(sim, text);
    uint32_t course = TRACE_COURSE_MAX, node = TRACE_NODE_MAX, group = TRACE_GROUP_MAX,
             key = TRACE_KEY_MAX, any = TRACE_ANY_MAX;
    uint64_t count = sim->trace_count < SIM_TRACE_MAX ? sim->trace_count : SIM_TRACE_MAX;
    memset(shown, 0, sizeof(shown));
    for (uint64_t i = sim->trace_count; i > sim->trace_count - count; i--) {
        const struct sim_trace *trace = &sim->last[(i - 1) % SIM_TRACE_MAX];
        uint32_t *room = room_for(trace, &about, &course, &node, &group, &key);
        if (about.node == TRACE_NOT_NAMED && about.key == TRACE_NOT_NAMED && room == NULL)
            room = &any;
        shown[(i - 1) % SIM_TRACE_MAX] = room != NULL && *room > 0;
        if (room != NULL && *room > 0)
            --*room;
    }
    fprintf(out, "the last events of the node, the group and the key that it names, and the course "
                 "of things:\n");
    for (uint64_t i = sim->trace_count - count; i < sim->trace_count; i++) {
        if (shown[i % SIM_TRACE_MAX])
            print(sim, &sim->last[i % SIM_TRACE_MAX], out);
    }
}

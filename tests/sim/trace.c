/* What happens, for people: a line each with --trace; and when a run fails, the last events that
 * have to do with it: those of the node, the group and the key that the checker names, and the
 * course of things. */
#include <stdlib.h>
#include <string.h>

#include "base/hlc.h"
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

/* How labels begin whose number is a place, or says which links are cut (sim_cuts). */
enum { TRACE_PLACE = '@', TRACE_CUTS = '#' };

/* What the numbers of an event are; NULL: not said. */
static const struct trace_kind {
    const char *what;
    enum trace_class class;
    const char *labels[3];
} kinds[] = {
    {"send", TRACE_TRAFFIC, {NULL}},
    {"lost", TRACE_TRAFFIC, {NULL}},
    {"receive", TRACE_TRAFFIC, {NULL}},
    {"cut", TRACE_TRAFFIC, {NULL}},
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
    {"partition", TRACE_COURSE, {NULL, NULL, "#cut"}},
    {"leader singled out", TRACE_COURSE, {"group", "kind", "#cut"}},
    {"partition by shape", TRACE_COURSE, {"shape", NULL, "#cut"}},
    {"mending", TRACE_COURSE, {NULL, NULL, "#still cut"}},
    {"healed", TRACE_COURSE, {NULL}},
    {"links whole", TRACE_COURSE, {NULL}},
    {"quiet", TRACE_COURSE, {"until us", NULL, NULL}},
    {"guard", TRACE_COURSE, {"witness", "until us", NULL}},
    {"flapping", TRACE_COURSE, {"@to", "times", NULL}},
    {"lossy links", TRACE_COURSE, {NULL}},
    {"overload", TRACE_COURSE, {"until us", NULL, NULL}},
    {"late copy", TRACE_COURSE, {NULL}},
    {"quits", TRACE_COURSE, {"@router", "in flight", NULL}},
    {"reads nothing", TRACE_COURSE, {"@router", "until us", NULL}},
    {"garbage", TRACE_COURSE, {"@router", "sentence", NULL}},
    {"stream ends", TRACE_COURSE, {"@router", "life", NULL}},
    {"slow links", TRACE_COURSE, {"us", "all", NULL}},
    {"ambush", TRACE_COURSE, {"other node", NULL, "#cut"}},
    {"one keeps the lease", TRACE_COURSE, {"keeper", "group", "#cut"}},
    {"deposed", TRACE_COURSE, {"group", NULL, "#cut"}},
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

const char *sim_place_name(uint64_t place, char text[8])
{
    if (place == SIM_TOOL)
        return "tool";
    if (place >= SIM_EVERYWHERE)
        return "all";
    if (place >= SIM_OF_CLIENT) {
        snprintf(text, 8, "c%u", (uint32_t)place - SIM_OF_CLIENT + 1);
        return text;
    }
    bool router = place >= SIM_NODES_MAX;
    snprintf(text, 8, "%c%u", router ? 'r' : 'n',
             (uint32_t)(router ? place - SIM_NODES_MAX : place) + 1);
    return text;
}

const char *sim_op_name(uint64_t type)
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
        fprintf(out, "c%-3u asks %s %s, %llu bytes\n", trace->place + 1, sim_op_name(trace->b), key,
                c);
    else
        fprintf(out, "c%-3u hears of %s: %s, version %llu.%llu\n", trace->place + 1, key,
                outcome_name(trace->b), (unsigned long long)base_hlc_to_ms(c),
                c & (base_hlc_from_ms(1) - 1));
}

static void print_traffic(const struct sim_trace *trace, FILE *out)
{
    char one[8], other[8];
    const char *type = wire_type_name((enum wire_type)trace->b);
    if (strcmp(trace->what, "cut") == 0)
        fprintf(out, "%-4s does not get %s from %s, %llu bytes: cut\n",
                sim_place_name(trace->place, one), type, sim_place_name(trace->a, other),
                (unsigned long long)trace->c);
    else if (strcmp(trace->what, "receive") == 0)
        fprintf(out, "%-4s receives %s from %s: %s\n", sim_place_name(trace->place, one), type,
                sim_place_name(trace->a, other), torc_status_text((enum torc_status)trace->c));
    else
        fprintf(out, "%-4s sends %s to %s, %llu bytes%s\n", sim_place_name(trace->place, one), type,
                sim_place_name(trace->a, other), (unsigned long long)trace->c,
                trace->what[0] == 'l' ? ": lost" : "");
}

static bool is_place(const struct sim *sim, uint32_t place)
{
    return place < SIM_NODES_MAX ? place < sim->options.nodes
                                 : place < SIM_NODES_MAX + sim->options.routers;
}

/* Of the places of this run: "n1>n2 r1>n2". */
static void print_cuts(const struct sim *sim, uint64_t cuts, FILE *out)
{
    char one[8], other[8];
    fputs(cuts == 0 ? " none" : "", out);
    for (uint32_t i = 0; i < SIM_TOOL * SIM_PLACES_MAX; i++) {
        uint32_t from = i / SIM_PLACES_MAX, to = i % SIM_PLACES_MAX;
        if ((cuts >> i & 1) != 0 && is_place(sim, from) && is_place(sim, to))
            fprintf(out, " %s>%s", sim_place_name(from, one), sim_place_name(to, other));
    }
}

static void print_number(const struct sim *sim, const char *label, uint64_t number, FILE *out)
{
    char name[8];
    if (label[0] == TRACE_CUTS) {
        fprintf(out, " %s", label + 1);
        print_cuts(sim, number, out);
    } else if (label[0] == TRACE_PLACE) {
        fprintf(out, " %s %s", label + 1, sim_place_name(number, name));
    } else {
        fprintf(out, " %s %llu", label, (unsigned long long)number);
    }
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
    fprintf(out, "%-4s %s", sim_place_name(trace->place, name), trace->what);
    const char *before = ":";
    for (int i = 0; i < 3; i++) {
        if (kind->labels[i] == NULL)
            continue;
        fputs(before, out);
        print_number(sim, kind->labels[i], numbers[i], out);
        before = ",";
    }
    fputc('\n', out);
}

uint64_t sim_cuts(const struct sim *sim)
{
    uint64_t cuts = 0;
    _Static_assert(SIM_PLACES_MAX * SIM_PLACES_MAX <= 64, "a bit for each link");
    for (uint32_t i = 0; i < SIM_PLACES_MAX * SIM_PLACES_MAX; i++)
        cuts |= (uint64_t)sim->cut[i / SIM_PLACES_MAX][i % SIM_PLACES_MAX] << i;
    return cuts;
}

void sim_trace(struct sim *sim, const char *what, uint32_t place, uint64_t a, uint64_t b,
               uint64_t c)
{
    struct sim_trace *trace = &sim->last[sim->trace_count++ % SIM_TRACE_MAX];
    *trace = (struct sim_trace){
        .at_us = sim->now_us, .what = what, .place = place, .a = a, .b = b, .c = c};
    const uint64_t numbers[] = {sim->now_us, place, a, b, c};
    sim_note(sim, base_hash_seeded(base_bytes_of(numbers, sizeof(numbers)),
                                   base_hash(base_bytes_text(what))));
    if (sim->trace)
        print(sim, trace, stdout);
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

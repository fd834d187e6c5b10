#include "admin/inspect.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "admin/report.h"
#include "admin/status.h"
#include "admin/target.h"
#include "base/assert.h"
#include "base/hlc.h"
#include "base/log.h"
#include "ring/token.h"
#include "wire/op.h"

enum { READ_TIMEOUT_MS = 2000, REQUEST_SIZE_MAX = 8192 };

/* ---- One key --------------------------------------------------------------------------------- */

/* What is to be told of a key; `problem` says why the value could not be looked at. */
struct key_facts {
    struct base_bytes key;
    uint64_t token;
    uint32_t vnode, group;
    uint64_t epoch;
    const Torc__Wire__Group *replicas;
    uint32_t leader; /* Node; 0: none known. */
    const char *problem;
    bool exists;
    uint64_t size, version, expiry_ms;
};

static const char *answer_read(const struct wire_envelope *envelope, struct key_facts *facts)
{
    struct wire_answer answer;
    struct wire_result result;
    size_t cursor = 0;
    if (wire_answer_read(envelope->payload, &answer) != TORC_OK)
        return "the leader's answer cannot be read";
    if (answer.status == WIRE_NOT_LEADER || answer.status == WIRE_NO_ANSWER)
        return "the leader has just changed; ask again";
    if (answer.status == WIRE_MOVED)
        return "the vnode has just moved; ask again";
    if (answer.status == WIRE_BUSY)
        return "the leader is overloaded; ask again";
    if (answer.status != WIRE_DONE || !wire_result_next(&answer, &cursor, &result))
        return "the leader refused the question";
    facts->exists = result.kind == WIRE_RESULT_STAT && result.bytes.size == sizeof(uint64_t);
    facts->version = result.version;
    if (facts->exists) {
        facts->size = base_get_le64(result.bytes.data);
        facts->expiry_ms = result.number;
    }
    return NULL;
}

/* Asks the leader for size, version and expiry. */
static const char *value_ask(const struct admin_target *target, const char *address,
                             struct key_facts *facts)
{
    uint8_t bytes[REQUEST_SIZE_MAX];
    struct wire_client_id client;
    struct wire_op op = {.type = WIRE_OP_STAT, .key = facts->key};
    TORC_ASSERT(getrandom(&client, sizeof(client), 0) == (ssize_t)sizeof(client));
    size_t size = wire_request_begin(bytes, sizeof(bytes), client, 1 /* number */,
                                     0 /* no last time: it writes nothing */, 0);
    size += wire_op_write(bytes + size, sizeof(bytes) - size, &op);
    wire_request_end(bytes, size, 1);
    Torc__Wire__Request request = TORC__WIRE__REQUEST__INIT;
    request.group = facts->group;
    request.request_count = 1;
    request.sequence = 1; /* The first and only one of this sender. */
    struct admin_question question = {.address = address,
                                      .type = WIRE_TYPE_REQUEST,
                                      .body = &request.base,
                                      .payload = base_bytes_of(bytes, size),
                                      .answer_type = WIRE_TYPE_REPLY,
                                      .timeout_ms = READ_TIMEOUT_MS};
    struct wire_envelope answer;
    struct admin_caller *caller = admin_caller_new(&target->cluster);
    enum torc_status status = admin_caller_ask(caller, &question, &answer);
    const char *problem =
        status == TORC_OK ? answer_read(&answer, facts) : "the leader does not answer";
    admin_caller_free(caller);
    return problem;
}

static const char *node_address(const Torc__Wire__Map *map, uint32_t node)
{
    for (size_t i = 0; i < map->n_nodes; i++) {
        if (map->nodes[i]->id == node)
            return map->nodes[i]->address;
    }
    return NULL;
}

static void facts_gather(const struct admin_target *target, const Torc__Wire__Map *map,
                         struct key_facts *facts)
{
    static struct admin_status status;
    size_t node;
    facts->token = ring_token(facts->key, map->ring->vnode_bits);
    facts->vnode = ring_vnode(facts->token, map->ring->vnode_bits);
    facts->group = map->ring->owners[facts->vnode];
    facts->epoch = facts->vnode < map->ring->n_epochs ? map->ring->epochs[facts->vnode] : 0;
    for (size_t i = 0; i < map->n_groups; i++) {
        if (map->groups[i]->id == facts->group)
            facts->replicas = map->groups[i];
    }
    admin_status_gather(target, &status);
    if (admin_status_leader(&status, facts->group, &node) != NULL)
        facts->leader = status.nodes[node].reply->node;
    const char *address = facts->leader == 0 ? NULL : node_address(map, facts->leader);
    facts->problem = facts->leader == 0 ? "no replica leads the group"
                     : address == NULL  ? "the leader is not in the map"
                                        : value_ask(target, address, facts);
    admin_status_free(&status);
}

static void facts_print(const struct key_facts *facts)
{
    char key[512], size[ADMIN_NUMBER_SIZE], left[ADMIN_NUMBER_SIZE];
    base_log_quote(key, sizeof(key), (const char *)facts->key.data, facts->key.size);
    printf("key      %s\ntoken    %016" PRIx64 "\nvnode    %u (epoch %" PRIu64 ")\ngroup    %u\n",
           key, facts->token, facts->vnode, facts->epoch, facts->group);
    if (facts->leader == 0)
        printf("leader   none\n");
    else
        printf("leader   node %u\n", facts->leader);
    printf("replicas");
    for (size_t i = 0; facts->replicas != NULL && i < facts->replicas->n_replicas; i++)
        printf("%s node %u", i == 0 ? "" : ",", facts->replicas->replicas[i]->node);
    printf("\n");
    if (facts->problem != NULL) {
        printf("value    not known: %s\n", facts->problem);
    } else if (!facts->exists) {
        printf("value    absent (version %" PRIu64 ")\n", facts->version);
    } else {
        printf("value    %s\nversion  %" PRIu64 "\n", admin_bytes(facts->size, size),
               facts->version);
        uint64_t now_ms = base_hlc_to_ms(facts->version);
        if (facts->expiry_ms == 0)
            printf("expiry   none\n");
        else
            printf("expiry   Unix time %" PRIu64 " ms (%s after its last write)\n",
                   facts->expiry_ms,
                   admin_duration(facts->expiry_ms > now_ms ? facts->expiry_ms - now_ms : 0, left));
    }
}

static void facts_print_json(const struct key_facts *facts)
{
    json_t *replicas = json_array();
    for (size_t i = 0; facts->replicas != NULL && i < facts->replicas->n_replicas; i++)
        json_array_append_new(replicas, json_integer(facts->replicas->replicas[i]->node));
    json_t *value = json_null();
    if (facts->problem == NULL)
        value = json_pack(
            "{s:b, s:I, s:I, s:o}", "exists", (int)facts->exists, "size", (json_int_t)facts->size,
            "version", (json_int_t)facts->version, "expiry_ms",
            facts->expiry_ms == 0 ? json_null() : json_integer((json_int_t)facts->expiry_ms));
    json_t *json = json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:s}", "key",
        json_stringn((const char *)facts->key.data, facts->key.size), "token",
        json_sprintf("%016" PRIx64, facts->token), "vnode", (json_int_t)facts->vnode, "epoch",
        (json_int_t)facts->epoch, "group", (json_int_t)facts->group, "leader",
        facts->leader == 0 ? json_null() : json_integer(facts->leader), "replicas", replicas,
        "value", value, "problem", facts->problem == NULL ? "" : facts->problem);
    if (json == NULL) {
        admin_fail("the key is not UTF-8 and cannot stand in JSON");
        return;
    }
    json_dumpf(json, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(json);
}

/* The map's ring covers what its bits say; maps come from outside. */
static bool ring_whole(const Torc__Wire__Map *map)
{
    return map->ring->vnode_bits <= RING_VNODE_BITS_MAX &&
           map->ring->n_owners == UINT64_C(1) << map->ring->vnode_bits;
}

/* Target and map for a command with the given options: 0, or the exit status. */
static int map_find(const struct admin_target_options *where, struct admin_target *ret_target,
                    Torc__Wire__Map **ret_map)
{
    int code = admin_target_find(where, ret_target);
    if (code == 0)
        code = admin_target_map(ret_target, ret_map);
    if (code == 0 && !ring_whole(*ret_map)) {
        torc__wire__map__free_unpacked(*ret_map, NULL);
        code = admin_fail("the map's ring does not have one owner per vnode");
    }
    return code;
}

int admin_key_main(int argc, char **argv)
{
    bool json = false;
    struct admin_target_options where = {NULL, NULL};
    const struct admin_option options[] = {
        ADMIN_TARGET_OPTIONS(where),
        {"--json", ADMIN_OPTION_FLAG, NULL, "for programs", &json, 0, 0},
    };
    static const struct admin_usage usage = {
        "torc-admin key NAME [--nodes ADDRESSES | --dir DIR] [--json]",
        "Shows where a key lives (token, vnode, group, leader, replicas) and its value's size,\n"
        "version and expiry, read from the leader.\n",
        "  torc-admin key bash\n"
        "  torc-admin key user:1000 --json\n"
        "  torc-admin key --nodes tcp://10.0.0.1:7380 -- --odd-name\n",
        1, 1};
    size_t count;
    int code = admin_options_read(&usage, options, sizeof(options) / sizeof(options[0]), argc, argv,
                                  &count);
    if (code >= 0)
        return code;
    static struct admin_target target;
    Torc__Wire__Map *map;
    struct key_facts facts = {.key = base_bytes_text(argv[1])};
    if (facts.key.size == 0 || facts.key.size > 4096)
        return admin_refuse("the key has %zu bytes; it must have 1 to 4096", facts.key.size);
    code = map_find(&where, &target, &map);
    if (code != 0)
        return code;
    facts_gather(&target, map, &facts);
    if (json)
        facts_print_json(&facts);
    else
        facts_print(&facts);
    torc__wire__map__free_unpacked(map, NULL);
    return facts.problem == NULL ? 0 : 1;
}

/* ---- The ring -------------------------------------------------------------------------------- */

static void ring_print(const Torc__Wire__Map *map, const uint32_t *counts, FILE *out)
{
    fprintf(out, "map version %" PRIu64 ", %zu vnodes\n\ngroup  vnodes   share  nodes\n",
            map->version, map->ring->n_owners);
    for (size_t i = 0; i < map->n_groups; i++) {
        const Torc__Wire__Group *group = map->groups[i];
        if (group->id == 0)
            continue;
        fprintf(out, "%5u  %6u  %5.1f%%  ", group->id, counts[i],
                100.0 * counts[i] / (double)map->ring->n_owners);
        for (size_t j = 0; j < group->n_replicas; j++)
            fprintf(out, "%s%u", j == 0 ? "" : " ", group->replicas[j]->node);
        fprintf(out, "\n");
    }
}

static void ring_print_json(const Torc__Wire__Map *map, const uint32_t *counts, FILE *out)
{
    json_t *groups = json_array(), *owners = json_array();
    for (size_t i = 0; i < map->n_groups; i++) {
        if (map->groups[i]->id == 0)
            continue;
        json_t *nodes = json_array();
        for (size_t j = 0; j < map->groups[i]->n_replicas; j++)
            json_array_append_new(nodes, json_integer(map->groups[i]->replicas[j]->node));
        json_array_append_new(
            groups, json_pack("{s:I, s:I, s:f, s:o}", "group", (json_int_t)map->groups[i]->id,
                              "vnodes", (json_int_t)counts[i], "share",
                              counts[i] / (double)map->ring->n_owners, "nodes", nodes));
    }
    for (size_t i = 0; i < map->ring->n_owners; i++)
        json_array_append_new(owners, json_integer(map->ring->owners[i]));
    json_t *json =
        json_pack("{s:I, s:I, s:o, s:o}", "map_version", (json_int_t)map->version, "vnodes",
                  (json_int_t)map->ring->n_owners, "groups", groups, "owners", owners);
    json_dumpf(json, out, JSON_COMPACT);
    fprintf(out, "\n");
    json_decref(json);
}

int admin_ring_main(int argc, char **argv)
{
    bool json = false;
    struct admin_target_options where = {NULL, NULL};
    const struct admin_option options[] = {
        ADMIN_TARGET_OPTIONS(where),
        {"--json", ADMIN_OPTION_FLAG, NULL, "for programs, with the owner of every vnode", &json, 0,
         0},
    };
    static const struct admin_usage usage = {
        "torc-admin ring show [--nodes ADDRESSES | --dir DIR] [--json]",
        "Shows how many vnodes each group owns, its share, its nodes, and the map's version.\n",
        "  torc-admin ring show\n"
        "  torc-admin ring show --json | jq '.groups'\n",
        0, 0};
    size_t none;
    int code = admin_options_read(&usage, options, sizeof(options) / sizeof(options[0]), argc, argv,
                                  &none);
    if (code >= 0)
        return code;
    static struct admin_target target;
    Torc__Wire__Map *map;
    code = map_find(&where, &target, &map);
    if (code != 0)
        return code;
    uint32_t *counts = calloc(map->n_groups + 1, sizeof(*counts));
    TORC_ASSERT(counts != NULL);
    for (size_t vnode = 0; vnode < map->ring->n_owners; vnode++) {
        for (size_t i = 0; i < map->n_groups; i++)
            counts[i] += map->groups[i]->id == map->ring->owners[vnode];
    }
    if (json)
        ring_print_json(map, counts, stdout);
    else
        ring_print(map, counts, stdout);
    free(counts);
    torc__wire__map__free_unpacked(map, NULL);
    return 0;
}

#include "admin/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/report.h"
#include "base/assert.h"

enum { ROLE_FOLLOWER = 1, ROLE_CANDIDATE, ROLE_LEADER, WATCH_MS = 1000 };

/* ---- Gathering ------------------------------------------------------------------------------- */

static bool id_is_none(const struct wire_id *id)
{
    static const struct wire_id none;
    return memcmp(id, &none, sizeof(none)) == 0;
}

bool admin_status_belongs(struct wire_id *cluster, const struct wire_id *said)
{
    if (id_is_none(cluster))
        *cluster = *said;
    return memcmp(cluster, said, sizeof(*said)) == 0;
}

/* Notes the cluster of the first one that answers, if it is not known. */
static void node_ask(struct admin_caller *caller, struct admin_status_node *node, uint64_t id,
                     struct wire_id *cluster)
{
    Torc__Wire__StatusRequest request = TORC__WIRE__STATUS_REQUEST__INIT;
    struct wire_envelope answer;
    request.id = id;
    struct admin_question question = {.address = node->address,
                                      .type = WIRE_TYPE_STATUS_REQUEST,
                                      .body = &request.base,
                                      .answer_type = WIRE_TYPE_STATUS,
                                      .timeout_ms = ADMIN_STATUS_TIMEOUT_MS};
    enum torc_status status = admin_caller_ask(caller, &question, &answer);
    if (status == TORC_OK && !admin_status_belongs(cluster, &answer.cluster)) {
        node->reason = "is of another cluster";
        return;
    }
    if (status == TORC_OK)
        node->reply = torc__wire__status_reply__unpack(NULL, answer.body.size, answer.body.data);
    if (node->reply == NULL)
        node->reason = status == TORC_OK        ? "its answer cannot be read"
                       : status == TORC_TIMEOUT ? "does not answer"
                                                : torc_status_text(status);
}

void admin_status_gather(const struct admin_target *target, struct admin_status *ret_status)
{
    memset(ret_status, 0, sizeof(*ret_status));
    ret_status->cluster = target->cluster;
    struct admin_caller *caller = admin_caller_new(&target->cluster);
    for (size_t i = 0; i < target->count; i++) {
        ret_status->nodes[i].address = target->addresses[i];
        node_ask(caller, &ret_status->nodes[i], i + 1, &ret_status->cluster);
    }
    ret_status->count = target->count;
    admin_caller_free(caller);
}

void admin_status_free(struct admin_status *status)
{
    for (size_t i = 0; i < status->count; i++) {
        if (status->nodes[i].reply != NULL)
            torc__wire__status_reply__free_unpacked(status->nodes[i].reply, NULL);
    }
    memset(status, 0, sizeof(*status));
}

/* ---- Judging --------------------------------------------------------------------------------- */

const Torc__Wire__ReplicaStatus *admin_status_leader(const struct admin_status *status,
                                                     uint32_t group, size_t *ret_node)
{
    const Torc__Wire__ReplicaStatus *leader = NULL;
    for (size_t i = 0; i < status->count; i++) {
        const Torc__Wire__StatusReply *reply = status->nodes[i].reply;
        for (size_t j = 0; reply != NULL && j < reply->n_replicas; j++) {
            const Torc__Wire__ReplicaStatus *replica = reply->replicas[j];
            if (replica->group != group || replica->role != ROLE_LEADER || !replica->serving)
                continue;
            /* A deposed leader may not know it yet: the one with the higher ballot counts. */
            if (leader == NULL || (replica->ballot != NULL && leader->ballot != NULL &&
                                   replica->ballot->round > leader->ballot->round)) {
                leader = replica;
                *ret_node = i;
            }
        }
    }
    return leader;
}

uint32_t admin_status_group_max(const struct admin_status *status)
{
    uint32_t group_max = 0;
    for (size_t i = 0; i < status->count; i++) {
        const Torc__Wire__StatusReply *reply = status->nodes[i].reply;
        for (size_t j = 0; reply != NULL && j < reply->n_replicas; j++) {
            if (reply->replicas[j]->group > group_max)
                group_max = reply->replicas[j]->group;
        }
    }
    return group_max;
}

/* Appends what the nodes themselves say that may explain it. */
static void troubles_append(const struct admin_status *status, char *buffer, size_t buffer_size)
{
    for (size_t i = 0; i < status->count; i++) {
        const struct admin_status_node *node = &status->nodes[i];
        size_t used = strlen(buffer);
        if (node->reply == NULL)
            snprintf(buffer + used, buffer_size - used, "; the node at %s %s", node->address,
                     node->reason);
        else if (!node->reply->initialised)
            snprintf(buffer + used, buffer_size - used, "; the node at %s has no map yet",
                     node->address);
        for (size_t j = 0; node->reply != NULL && j < node->reply->n_replicas; j++) {
            const Torc__Wire__ReplicaStatus *replica = node->reply->replicas[j];
            used = strlen(buffer);
            if (replica->trouble[0] != '\0')
                snprintf(buffer + used, buffer_size - used, "; node %u, group %u: %s",
                         node->reply->node, replica->group, replica->trouble);
        }
    }
}

const char *admin_status_flaw(const struct admin_status *status, uint32_t shard_count, char *buffer,
                              size_t buffer_size)
{
    for (uint32_t group = 0; group <= shard_count; group++) {
        size_t node;
        if (admin_status_leader(status, group, &node) != NULL)
            continue;
        snprintf(buffer, buffer_size, "group %u has no leader that serves", group);
        troubles_append(status, buffer, buffer_size);
        return buffer;
    }
    return NULL;
}

/* ---- Printing -------------------------------------------------------------------------------- */

static const char *role_name(uint32_t role)
{
    return role == ROLE_LEADER      ? "leader"
           : role == ROLE_CANDIDATE ? "candidate"
           : role == ROLE_FOLLOWER  ? "follower"
                                    : "none";
}

static void node_print(const struct admin_status_node *node, FILE *out)
{
    char storage[33], log[ADMIN_NUMBER_SIZE], uptime[ADMIN_NUMBER_SIZE];
    const Torc__Wire__StatusReply *reply = node->reply;
    if (reply == NULL) {
        fprintf(out, "%5s  %-24s %s\n", "?", node->address, node->reason);
        return;
    }
    fprintf(out, "%5u  %-24s %-14s %10s  %11u  %6" PRIu64 "  %s%s\n", reply->node, node->address,
            admin_duration(reply->uptime_ms, uptime), admin_bytes(reply->log_bytes, log),
            reply->incarnation, reply->map_version,
            admin_id_text(reply->storage.data, reply->storage.len, storage),
            reply->initialised ? "" : "  no map yet");
}

/* " (since 2026-01-02T03:04:05Z)"; "" when it is not known. */
static const char *since_text(uint64_t since_ms, char *buffer, size_t buffer_size)
{
    struct tm utc;
    time_t seconds = (time_t)(since_ms / 1000);
    buffer[0] = '\0';
    if (since_ms != 0 && gmtime_r(&seconds, &utc) != NULL)
        strftime(buffer, buffer_size, " (since %Y-%m-%dT%H:%M:%SZ)", &utc);
    return buffer;
}

static void replica_print(const Torc__Wire__StatusReply *reply,
                          const Torc__Wire__ReplicaStatus *replica,
                          const Torc__Wire__ReplicaStatus *leader, FILE *out)
{
    char ballot[48] = "-", since[48];
    if (replica->ballot != NULL)
        snprintf(ballot, sizeof(ballot), "%" PRIu64 ".%u.%u", replica->ballot->round,
                 replica->ballot->node, replica->ballot->incarnation);
    uint64_t top = leader == NULL ? replica->chosen : leader->chosen;
    uint64_t lag = top > replica->applied ? top - replica->applied : 0;
    fprintf(out, "%5u  %4u  %-9s  %-10s  %10" PRIu64 "  %10" PRIu64 "  %8" PRIu64 "%s%s%s\n",
            replica->group, reply->node, role_name(replica->role), ballot, replica->chosen,
            replica->applied, lag, replica->trouble[0] == '\0' ? "" : "  ", replica->trouble,
            replica->trouble[0] == '\0'
                ? ""
                : since_text(replica->trouble_since_ms, since, sizeof(since)));
}

void admin_status_print(const struct admin_status *status, FILE *out)
{
    char cluster[33];
    fprintf(out, "cluster %s\n\n",
            id_is_none(&status->cluster)
                ? "?"
                : admin_id_text(status->cluster.bytes, WIRE_ID_SIZE, cluster));
    fprintf(out, " node  %-24s %-14s %10s  %11s  %6s  %s\n", "address", "up", "log", "incarnation",
            "epoch", "storage");
    for (size_t i = 0; i < status->count; i++)
        node_print(&status->nodes[i], out);
    fprintf(out, "\ngroup  node  %-9s  %-10s  %10s  %10s  %8s\n", "role", "ballot", "chosen",
            "applied", "lag");
    uint32_t group_max = admin_status_group_max(status);
    for (uint32_t group = 0; group <= group_max; group++) {
        size_t leader_node;
        const Torc__Wire__ReplicaStatus *leader = admin_status_leader(status, group, &leader_node);
        for (size_t i = 0; i < status->count; i++) {
            const Torc__Wire__StatusReply *reply = status->nodes[i].reply;
            for (size_t j = 0; reply != NULL && j < reply->n_replicas; j++) {
                if (reply->replicas[j]->group == group)
                    replica_print(reply, reply->replicas[j], leader, out);
            }
        }
        if (leader == NULL)
            fprintf(out, "%5u  no leader serves it\n", group);
    }
}

static json_t *replica_json(const Torc__Wire__StatusReply *reply,
                            const Torc__Wire__ReplicaStatus *replica)
{
    json_t *ballot = replica->ballot == NULL
                         ? json_null()
                         : json_pack("{s:I, s:I, s:I}", "round", (json_int_t)replica->ballot->round,
                                     "node", (json_int_t)replica->ballot->node, "incarnation",
                                     (json_int_t)replica->ballot->incarnation);
    return json_pack(
        "{s:I, s:I, s:I, s:s, s:b, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:s, s:I, s:I, s:I}",
        "group", (json_int_t)replica->group, "node", (json_int_t)reply->node, "replica",
        (json_int_t)replica->replica, "role", role_name(replica->role), "serving",
        (int)replica->serving, "leader", (json_int_t)replica->leader, "ballot", ballot, "chosen",
        (json_int_t)replica->chosen, "applied", (json_int_t)replica->applied, "durable",
        (json_int_t)replica->durable, "floor", (json_int_t)replica->floor, "clock",
        (json_int_t)replica->clock, "state_hash", json_sprintf("%016" PRIx64, replica->state_hash),
        "trouble", replica->trouble, "trouble_since_ms", (json_int_t)replica->trouble_since_ms,
        "records_bytes", (json_int_t)replica->records_bytes, "inflight",
        (json_int_t)replica->inflight);
}

static json_t *node_json(const struct admin_status_node *node)
{
    char storage[33];
    const Torc__Wire__StatusReply *reply = node->reply;
    if (reply == NULL)
        return json_pack("{s:s, s:b, s:s}", "address", node->address, "answers", 0, "reason",
                         node->reason);
    return json_pack("{s:s, s:b, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b}", "address",
                     node->address, "answers", 1, "node", (json_int_t)reply->node, "storage",
                     admin_id_text(reply->storage.data, reply->storage.len, storage), "incarnation",
                     (json_int_t)reply->incarnation, "epoch", (json_int_t)reply->map_version,
                     "map_version", (json_int_t)reply->map_version, "log_bytes",
                     (json_int_t)reply->log_bytes, "log_batches", (json_int_t)reply->log_batches,
                     "log_syncs", (json_int_t)reply->log_syncs, "uptime_ms",
                     (json_int_t)reply->uptime_ms, "version", reply->version, "initialised",
                     (int)reply->initialised);
}

static json_t *group_json(const struct admin_status *status, uint32_t group)
{
    size_t leader_node = 0;
    const Torc__Wire__ReplicaStatus *leader = admin_status_leader(status, group, &leader_node);
    json_t *replicas = json_array();
    for (size_t i = 0; i < status->count; i++) {
        const Torc__Wire__StatusReply *reply = status->nodes[i].reply;
        for (size_t j = 0; reply != NULL && j < reply->n_replicas; j++) {
            if (reply->replicas[j]->group == group)
                json_array_append_new(replicas, replica_json(reply, reply->replicas[j]));
        }
    }
    return json_pack("{s:I, s:o, s:o}", "group", (json_int_t)group, "leader",
                     leader == NULL
                         ? json_null()
                         : json_integer((json_int_t)status->nodes[leader_node].reply->node),
                     "replicas", replicas);
}

void admin_status_print_json(const struct admin_status *status, FILE *out)
{
    char cluster[33];
    json_t *nodes = json_array(), *groups = json_array();
    for (size_t i = 0; i < status->count; i++)
        json_array_append_new(nodes, node_json(&status->nodes[i]));
    uint32_t group_max = admin_status_group_max(status);
    for (uint32_t group = 0; group <= group_max; group++)
        json_array_append_new(groups, group_json(status, group));
    json_t *json =
        json_pack("{s:o, s:o, s:o}", "cluster",
                  id_is_none(&status->cluster)
                      ? json_null()
                      : json_string(admin_id_text(status->cluster.bytes, WIRE_ID_SIZE, cluster)),
                  "nodes", nodes, "groups", groups);
    json_dumpf(json, out, JSON_INDENT(2));
    fputc('\n', out);
    fflush(out);
    json_decref(json);
}

/* ---- The command ----------------------------------------------------------------------------- */

int admin_status_main(int argc, char **argv)
{
    bool json = false, watch = false;
    struct admin_target_options where = {NULL, NULL};
    const struct admin_option options[] = {
        ADMIN_TARGET_OPTIONS(where),
        {"--json", ADMIN_OPTION_FLAG, NULL, "for programs", &json, 0, 0},
        {"--watch", ADMIN_OPTION_FLAG, NULL, "again every second, until Ctrl-C", &watch, 0, 0},
    };
    static const struct admin_usage usage = {
        "torc-admin status [--nodes ADDRESSES | --dir DIR] [--json] [--watch]",
        "Shows the cluster's id, which clients of libtorc need, its nodes and its groups: "
        "leaders,\n"
        "what is chosen and applied, how far a replica is behind the leader, and what keeps one\n"
        "from voting or serving. The epoch is the version of the map, with the ring, that a node\n"
        "has. Exit status 1 when some group has no leader that serves.\n",
        "  torc-admin status\n"
        "  torc-admin status --nodes tcp://10.0.0.1:7380 --json\n"
        "  torc-admin status --dir ../cluster --watch\n",
        0, 0};
    size_t none;
    int code = admin_options_read(&usage, options, sizeof(options) / sizeof(options[0]), argc, argv,
                                  &none);
    if (code >= 0)
        return code;
    static struct admin_target target;
    static struct admin_status status;
    code = admin_target_find(&where, &target);
    if (code != 0)
        return code;
    Torc__Wire__Map *map = NULL;
    if (where.nodes != NULL && admin_target_map(&target, &map) == 0)
        torc__wire__map__free_unpacked(map, NULL);
    do {
        char flaw[1024];
        admin_status_gather(&target, &status);
        if (watch && isatty(STDOUT_FILENO))
            fputs("\033[H\033[2J", stdout);
        if (json)
            admin_status_print_json(&status, stdout);
        else
            admin_status_print(&status, stdout);
        fflush(stdout);
        code =
            admin_status_flaw(&status, admin_status_group_max(&status), flaw, sizeof(flaw)) == NULL
                ? 0
                : 1;
        admin_status_free(&status);
        if (watch)
            admin_sleep_ms(WATCH_MS);
    } while (watch);
    return code;
}

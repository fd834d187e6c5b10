#include "admin/init.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/dev_start.h"
#include "admin/options.h"
#include "admin/report.h"
#include "admin/target.h"
#include "base/assert.h"

enum { TRY_MS = 2000, PAUSE_MS = 50, VNODES_DEFAULT = 4096, TIMEOUT_S_DEFAULT = 30 };

/* Whether the node accepted; else why not, and whether it is final. */
static bool node_send(struct admin_caller *caller, const struct admin_map_node *node,
                      Torc__Wire__Map *map, bool *ret_final, char *ret_reason, size_t reason_size)
{
    Torc__Wire__Init init = TORC__WIRE__INIT__INIT;
    struct wire_envelope answer;
    init.map = map;
    struct admin_question question = {.address = node->address,
                                      .type = WIRE_TYPE_INIT,
                                      .body = &init.base,
                                      .answer_type = WIRE_TYPE_RESULT,
                                      .timeout_ms = TRY_MS};
    *ret_final = false;
    enum torc_status status = admin_caller_ask(caller, &question, &answer);
    if (status != TORC_OK) {
        snprintf(ret_reason, reason_size, "node %u at %s: %s", node->id, node->address,
                 status == TORC_TIMEOUT ? "does not answer" : torc_status_text(status));
        return false;
    }
    Torc__Wire__Result *result =
        torc__wire__result__unpack(NULL, answer.body.size, answer.body.data);
    bool good = result != NULL && result->status == TORC_OK;
    if (!good) {
        const char *text = result == NULL            ? "its answer cannot be read"
                           : result->text[0] != '\0' ? result->text
                                                     : torc_status_text(result->status);
        snprintf(ret_reason, reason_size, "node %u at %s: %s", node->id, node->address, text);
        *ret_final =
            result != NULL && result->status != TORC_BUSY && result->status != TORC_TIMEOUT;
    }
    if (result != NULL)
        torc__wire__result__free_unpacked(result, NULL);
    return good;
}

int admin_init_send(const struct admin_map_spec *spec, uint64_t deadline_ms,
                    bool (*stop)(void *context), void *context, char *ret_reason,
                    size_t reason_size)
{
    Torc__Wire__Map *map;
    const char *flaw = admin_map_make(spec, &map);
    if (flaw != NULL) {
        snprintf(ret_reason, reason_size, "%s", flaw);
        return 1;
    }
    struct admin_caller *caller = admin_caller_new(&spec->cluster);
    bool accepted = false, final = false;
    for (uint32_t i = 0; i < spec->node_count && !final; i++) {
        accepted = false;
        while (!accepted && !final) {
            accepted = node_send(caller, &spec->nodes[i], map, &final, ret_reason, reason_size);
            if (!accepted && (admin_now_ms() >= deadline_ms || (stop != NULL && stop(context))))
                final = true;
            if (!accepted && !final)
                admin_sleep_ms(PAUSE_MS);
        }
    }
    admin_caller_free(caller);
    admin_map_free(map);
    return accepted ? 0 : 1;
}

/* "id=address=storage,..." into the spec. */
static int nodes_read(const char *text, struct admin_map_spec *spec)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        struct admin_map_node node;
        char storage[40];
        char one[160];
        int end = 0;
        if (spec->node_count == ADMIN_MAP_NODES_MAX)
            return admin_refuse("--nodes: more than %d nodes", ADMIN_MAP_NODES_MAX);
        snprintf(one, sizeof(one), "%.*s", (int)size, text);
        if (sscanf(one, "%u=%63[^=]=%39s%n", &node.id, node.address, storage, &end) != 3 ||
            one[end] != '\0' || strncmp(node.address, "tcp://", 6) != 0 ||
            !admin_id_read(storage, strlen(storage), &node.storage))
            return admin_refuse(
                "--nodes: '%.*s' is not a node; it must be ID=ADDRESS=STORAGE, such "
                "as 1=tcp://127.0.0.1:7380=00112233445566778899aabbccddeeff (what "
                "`format` printed)",
                (int)size, text);
        spec->nodes[spec->node_count++] = node;
        text += size + (text[size] == ',' ? 1 : 0);
    }
    return 0;
}

int admin_init_main(int argc, char **argv)
{
    const char *cluster = NULL, *nodes = NULL;
    uint64_t shards = 3, replicas = 0, vnodes = VNODES_DEFAULT, timeout_s = TIMEOUT_S_DEFAULT;
    uint64_t lease_ms = 0;
    const struct admin_option options[] = {
        {"--cluster", ADMIN_OPTION_TEXT, "HEX", "the cluster's id, 32 hexadecimal digits", &cluster,
         0, 0},
        {"--nodes", ADMIN_OPTION_TEXT, "NODES", "ID=ADDRESS=STORAGE, several with commas between",
         &nodes, 0, 0},
        {"--shards", ADMIN_OPTION_NUMBER, "S", "shards to begin with (3)", &shards, 1,
         ADMIN_MAP_SHARDS_MAX},
        {"--replicas", ADMIN_OPTION_NUMBER, "R", "replicas of each (3; 1 with fewer nodes)",
         &replicas, 1, ADMIN_MAP_REPLICAS_MAX},
        {"--vnodes", ADMIN_OPTION_NUMBER, "Q", "vnodes, a power of two, for ever (4096)", &vnodes,
         1, ADMIN_MAP_VNODES_MAX},
        {"--lease", ADMIN_OPTION_NUMBER, "MS", ADMIN_LEASE_HELP, &lease_ms, 10,
         ADMIN_MAP_LEASE_MS_MAX},
        {"--timeout", ADMIN_OPTION_NUMBER, "SECONDS", "how long to try (30)", &timeout_s, 1, 3600},
    };
    static const struct admin_usage usage = {
        "torc-admin init --cluster HEX --nodes ID=ADDRESS=STORAGE,... [OPTIONS]",
        "Sends the first map to the formatted nodes of a new cluster, and waits until each has\n"
        "accepted it. The same map again changes nothing; another is refused.\n",
        "  torc-admin init --cluster 00112233445566778899aabbccddeeff --shards 3 \\\n"
        "      --nodes 1=tcp://10.0.0.1:7380=6d1f...,2=tcp://10.0.0.2:7380=90ab...,"
        "3=tcp://10.0.0.3:7380=c07e...\n",
        0, 0};
    size_t none;
    int code = admin_options_read(&usage, options, sizeof(options) / sizeof(options[0]), argc, argv,
                                  &none);
    if (code >= 0)
        return code;
    static struct admin_map_spec spec;
    if (cluster == NULL || !admin_id_read(cluster, strlen(cluster), &spec.cluster))
        return admin_refuse(
            "--cluster must be the cluster's id, the 32 hexadecimal digits that the "
            "nodes were formatted with");
    if (nodes == NULL)
        return admin_refuse("--nodes is missing; usage: %s", usage.synopsis);
    code = nodes_read(nodes, &spec);
    if (code != 0)
        return code;
    spec.shard_count = (uint32_t)shards;
    spec.replica_count = replicas != 0 ? (uint32_t)replicas : spec.node_count >= 3 ? 3 : 1;
    spec.vnode_count = (uint32_t)vnodes;
    spec.lease_ms = (uint32_t)lease_ms;
    char reason[512];
    code = admin_init_send(&spec, admin_now_ms() + timeout_s * 1000, NULL, NULL, reason,
                           sizeof(reason));
    if (code != 0)
        return admin_fail("init: %s", reason);
    printf("%u nodes have the first map: %u shards of %u replicas, %u vnodes\n", spec.node_count,
           spec.shard_count, spec.replica_count, spec.vnode_count);
    return 0;
}

int admin_format_main(int argc, char **argv)
{
    struct admin_binaries binaries;
    int code = admin_dev_find_binaries(&binaries);
    if (code != 0)
        return code;
    char **shard_argv = calloc((size_t)argc + 2, sizeof(*shard_argv));
    TORC_ASSERT(shard_argv != NULL);
    shard_argv[0] = binaries.shard;
    shard_argv[1] = (char *)(uintptr_t) "format";
    memcpy(shard_argv + 2, argv + 1, (size_t)(argc - 1) * sizeof(*shard_argv));
    execv(binaries.shard, shard_argv);
    code = admin_fail("%s: %s", binaries.shard, strerror(errno));
    free(shard_argv);
    return code;
}

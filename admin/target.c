#include "admin/target.h"

#include <stdio.h>
#include <string.h>

#include "admin/dev_file.h"
#include "admin/report.h"
#include "base/assert.h"

enum { MAP_TIMEOUT_MS = 2000 };

bool admin_id_read(const char *text, size_t size, struct wire_id *ret_id)
{
    struct wire_id id;
    if (size != 2 * WIRE_ID_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        const char *digit = memchr("0123456789abcdef", text[i], 16);
        if (digit == NULL)
            return false;
        unsigned value = (unsigned)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
        id.bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : id.bytes[i / 2] | value);
    }
    *ret_id = id;
    return true;
}

const char *admin_id_text(const uint8_t *bytes, size_t size, char buffer[33])
{
    buffer[0] = '\0';
    for (size_t i = 0; i < size && i < WIRE_ID_SIZE; i++)
        snprintf(buffer + 2 * i, 3, "%02x", bytes[i]);
    return buffer;
}

static int addresses_read(const char *text, struct admin_target *target)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        if (target->count == ADMIN_TARGET_NODES_MAX || size >= ADMIN_TARGET_ADDRESS_SIZE ||
            strncmp(text, "tcp://", 6) != 0)
            return admin_refuse("--nodes: '%.*s' is not an address; it must be such as "
                                "tcp://127.0.0.1:7380, several with commas between",
                                (int)size, text);
        memcpy(target->addresses[target->count], text, size);
        target->addresses[target->count++][size] = '\0';
        text += size + (text[size] == ',' ? 1 : 0);
    }
    return 0;
}

int admin_target_find(const struct admin_target_options *options, struct admin_target *ret_target)
{
    memset(ret_target, 0, sizeof(*ret_target));
    if (options->nodes != NULL)
        return addresses_read(options->nodes, ret_target);
    struct admin_dev dev;
    int code = admin_dev_need(options->dir == NULL ? ".torc" : options->dir, &dev);
    if (code != 0)
        return code;
    bool good = admin_id_read(dev.cluster, strlen(dev.cluster), &ret_target->cluster);
    for (uint32_t i = 0; i < dev.node_count; i++)
        admin_dev_address(&dev, i, ret_target->addresses[ret_target->count++]);
    return good ? 0
                : admin_refuse("%s/cluster.json: the cluster's id must be 32 hexadecimal digits",
                               dev.dir);
}

/* The map of one node; NULL when it does not answer or has none. */
static Torc__Wire__Map *map_ask(struct admin_caller *caller, const char *address)
{
    Torc__Wire__MapRequest request = TORC__WIRE__MAP_REQUEST__INIT;
    struct wire_envelope answer;
    struct admin_question question = {.address = address,
                                      .type = WIRE_TYPE_MAP_REQUEST,
                                      .body = &request.base,
                                      .answer_type = WIRE_TYPE_MAP,
                                      .timeout_ms = MAP_TIMEOUT_MS};
    if (admin_caller_ask(caller, &question, &answer) != TORC_OK)
        return NULL;
    Torc__Wire__MapReply *reply =
        torc__wire__map_reply__unpack(NULL, answer.body.size, answer.body.data);
    if (reply == NULL)
        return NULL;
    Torc__Wire__Map *map = reply->map;
    reply->map = NULL;
    torc__wire__map_reply__free_unpacked(reply, NULL);
    if (map != NULL && (map->version == 0 || map->ring == NULL || map->limits == NULL)) {
        torc__wire__map__free_unpacked(map, NULL);
        map = NULL;
    }
    return map;
}

/* Adds the map's nodes that the target does not have. */
static void nodes_add(struct admin_target *target, const Torc__Wire__Map *map)
{
    for (size_t i = 0; i < map->n_nodes; i++) {
        size_t j = 0;
        while (j < target->count && strcmp(target->addresses[j], map->nodes[i]->address) != 0)
            j++;
        if (j == target->count && j < ADMIN_TARGET_NODES_MAX &&
            strlen(map->nodes[i]->address) < ADMIN_TARGET_ADDRESS_SIZE) {
            snprintf(target->addresses[j], ADMIN_TARGET_ADDRESS_SIZE, "%s", map->nodes[i]->address);
            target->count++;
        }
    }
}

int admin_target_map(struct admin_target *target, Torc__Wire__Map **ret_map)
{
    Torc__Wire__Map *newest = NULL;
    struct admin_caller *caller = admin_caller_new(&target->cluster);
    for (size_t i = 0; i < target->count; i++) {
        Torc__Wire__Map *map = map_ask(caller, target->addresses[i]);
        if (map != NULL && (newest == NULL || map->version > newest->version)) {
            Torc__Wire__Map *older = newest;
            newest = map;
            map = older;
        }
        if (map != NULL)
            torc__wire__map__free_unpacked(map, NULL);
    }
    admin_caller_free(caller);
    if (newest == NULL)
        return admin_fail("none of the %zu nodes asked (%s%s) answers with a map; `dev ps` shows "
                          "what runs here, `init` makes the first map",
                          target->count, target->addresses[0], target->count > 1 ? ", ..." : "");
    nodes_add(target, newest);
    if (newest->cluster.len == WIRE_ID_SIZE) /* What follows may need it. */
        memcpy(target->cluster.bytes, newest->cluster.data, WIRE_ID_SIZE);
    *ret_map = newest;
    return 0;
}

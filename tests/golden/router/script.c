/*
 * Plays scripts against the router's core and prints what it does: tests/golden/router/X.txt holds
 * a script with the expected actions in it, and golden_test.sh compares. A line of a script is one
 * turn, unless it begins with "+", then the next line is of the same turn. Lines that begin with
 * two spaces are actions: they are dropped on reading and written anew.
 *
 *   router [NAME=VALUE...]       a new router; limits and timeouts
 *   map VERSION nodes=1,2 groups=1:1,2;2:1,2 owners=1,2       the map, told by node 1
 *   open C | end C | close C | slow C | written C
 *                                a client; end: it sends no more; slow: its writes are not reported
 * done C WORDS...                   what the client sends, a line end added; \r \n \xNN are escapes
 *   raw C BYTES
 *   time MS                      that many milliseconds pass, then a turn; "time wake": until asked
 *   welcome NODE[.LIFE] GROUP leader=N credit=N clock=MS stamp=MS
 *   reply NODE[.LIFE] GROUP [leader=N] [credit=N] [clock=MS] [more=N] : NUMBER ANSWER, ...
 *                                more: answers that it claims to hold besides
 *   lost NODE                    the connection to it broke
 *   drain
 *
 *   ANSWER: ok | nil | int N | value TEXT | stat SIZE EXPIRY_MS | keys NEXT TOKEN:KEY.. | count
 * NEXT N | rows NEXT BYTES | error N | not_leader N | busy | moved N | no_answer | too_late |
 * refused N | check_failed
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hlc.h"
#include "router/router.h"
#include "tests/lib/counting.h"
#include "wire/body.h"

/* The wall clock at the monotonic one's zero. */
static const uint64_t unix_us = UINT64_C(1000000000000000);

enum { CLIENTS_MAX = 64, LINE_SIZE_MAX = 4096, NODES_MAX = 10 };

struct player {
    const struct base_allocator *allocator;
    struct router *router;
    uint64_t now_us, wake_at_us;
    struct { /* By number of the script: c3 is 3. */
        bool open, slow;
        uint32_t slot;
    } clients[CLIENTS_MAX];
    uint64_t numbers[NODES_MAX];
    unsigned line;
};

static const char *const seeds[] = {"tcp://127.0.0.1:7401"};

static _Noreturn void die(const struct player *player, const char *what)
{
    fprintf(stderr, "script line %u: %s\n", player->line, what);
    exit(2);
}

/* ---- Reading words
 * ------------------------------------------------------------------------------- */

static const char *option(const char *line, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = strstr(line, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == line || at[-1] == ' ') && at[size] == '=')
            return at + size + 1;
    }
    return NULL;
}

static uint64_t number_option(const char *line, const char *name, uint64_t preset)
{
    const char *text = option(line, name);
    return text == NULL ? preset : strtoull(text, NULL, 10);
}

static size_t unescape(const char *text, char *out)
{
    size_t size = 0;
    for (; *text != '\0'; text++) {
        if (text[0] == '\\' && text[1] == 'r') {
            out[size++] = '\r';
            text++;
        } else if (text[0] == '\\' && text[1] == 'n') {
            out[size++] = '\n';
            text++;
        } else {
            out[size++] = *text;
        }
    }
    return size;
}

static void print_bytes(struct base_bytes bytes)
{
    enum { SHOWN_MAX = 240 };
    putchar('"');
    for (size_t i = 0; i < bytes.size && i < SHOWN_MAX; i++) {
        uint8_t byte = bytes.data[i];
        if (byte == '\r')
            printf("\\r");
        else if (byte == '\n')
            printf("\\n");
        else if (byte < ' ' || byte > '~' || byte == '"')
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
    putchar('"');
    if (bytes.size > SHOWN_MAX)
        printf(" (%zu bytes)", bytes.size);
}

/* ---- Printing actions
 * ---------------------------------------------------------------------------- */

static const char *op_name(enum wire_op_type type)
{
    switch (type) {
#define OP_NAME(name, number, writes)                                                              \
    case name:                                                                                     \
        return #name + strlen("WIRE_OP_");
        WIRE_OP_LIST(OP_NAME)
#undef OP_NAME
    }
    return "?";
}

static void print_requests(struct base_bytes rest)
{
    static const struct wire_limits limits = {4096, 8 << 20, 64 << 20};
    while (rest.size > 0) {
        struct wire_request request;
        struct wire_op op;
        enum torc_status status = wire_request_read(rest, &limits, &request);
        TORC_ASSERT(status == TORC_OK);
        printf("    #%" PRIu64 " until %" PRIu64, request.number,
               base_hlc_to_ms(request.last_time));
        for (size_t cursor = 0; wire_op_next(&request, &cursor, &op);) {
            printf(" %s", op_name(op.type));
            if (op.key.size > 0)
                printf(" %.*s", (int)op.key.size, (const char *)op.key.data);
            if (op.value.size > 0)
                printf("=%.*s", (int)(op.value.size > 20 ? 20 : op.value.size),
                       (const char *)op.value.data);
            if (op.a != 0 || op.b != 0)
                printf(" a=%" PRIu64 " b=%" PRIu64, op.a, op.b);
        }
        printf("\n");
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
    }
}

static void print_message(struct wire_arena *arena, const struct router_message *message)
{
    struct wire_envelope envelope = {.type = message->type, .body = message->body};
    const ProtobufCMessage *body;
    enum torc_status status = wire_body_read(arena, &envelope, &body);
    TORC_ASSERT(status == TORC_OK);
    printf("  -> n%u", message->node);
    if (message->incarnation != 0)
        printf(".%u", message->incarnation);
    if (message->type == WIRE_TYPE_HELLO) {
        const Torc__Wire__Hello *hello = (const Torc__Wire__Hello *)body;
        printf(" hello g%u sequence=%" PRIu64 "\n", hello->group, hello->sequence);
    } else if (message->type == WIRE_TYPE_MAP_REQUEST) {
        const Torc__Wire__MapRequest *request = (const Torc__Wire__MapRequest *)body;
        printf(" map_request known=%" PRIu64 "\n", request->known_version);
    } else {
        const Torc__Wire__Request *request = (const Torc__Wire__Request *)body;
        printf(" request g%u count=%u sequence=%" PRIu64 "\n", request->group,
               request->request_count, request->sequence);
        print_requests(message->payload);
    }
}

static size_t client_of_slot(const struct player *player, uint32_t slot)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (player->clients[i].open && player->clients[i].slot == slot)
            return i;
    }
    die(player, "an action for a client that is not open");
}

static void print_action(struct player *player, const struct router_action *action)
{
    size_t client = client_of_slot(player, action->connection);
    printf("  c%zu ", client);
    switch (action->type) {
    case ROUTER_WRITE:
        print_bytes(action->bytes);
        break;
    case ROUTER_PAUSE:
        printf("pause");
        break;
    case ROUTER_RESUME:
        printf("resume");
        break;
    case ROUTER_CLOSE:
        printf("close");
        player->clients[client].open = false;
        break;
    }
    printf("\n");
}

/* One ready, and what follows from writes that are done at once. */
static void settle(struct player *player)
{
    struct wire_arena *arena = wire_arena_new(player->allocator, 1 << 20);
    for (bool again = true; again;) {
        struct router_ready ready;
        struct router_action actions[CLIENTS_MAX];
        again = false;
        router_ready(player->router, &ready);
        router_check(player->router);
        for (size_t i = 0; i < ready.message_count; i++)
            print_message(arena, &ready.messages[i]);
        TORC_ASSERT(ready.action_count <= CLIENTS_MAX);
        for (size_t i = 0; i < ready.action_count; i++)
            actions[i] = ready.actions[i];
        for (size_t i = 0; i < ready.action_count; i++)
            print_action(player, &actions[i]);
        player->wake_at_us = ready.wake_at_us;
        router_turn(player->router, player->now_us, unix_us + player->now_us);
        for (size_t i = 0; i < ready.action_count; i++) {
            if (actions[i].type != ROUTER_WRITE)
                continue;
            for (size_t c = 0; c < CLIENTS_MAX; c++) {
                if (player->clients[c].open && player->clients[c].slot == actions[i].connection &&
                    !player->clients[c].slow) {
                    again |= router_connection_written(player->router, actions[i].connection);
                }
            }
        }
    }
    wire_arena_free(arena);
}

/* ---- Nodes
 * --------------------------------------------------------------------------------------- */

static void deliver(struct player *player, uint32_t node, uint32_t life, enum wire_type type,
                    const ProtobufCMessage *body, struct base_bytes payload)
{
    uint8_t *packed = malloc(protobuf_c_message_get_packed_size(body));
    size_t size = protobuf_c_message_pack(body, packed);
    struct wire_envelope envelope = {
        .type = type,
        .cluster = {.bytes = {7}},
        .storage = {.bytes = {(uint8_t)node}},
        .node = node,
        .incarnation = life,
        .number = ++player->numbers[node % NODES_MAX],
        .body = base_bytes_of(packed, size),
        .payload = payload,
    };
    router_receive(player->router, &envelope);
    free(packed);
}

/* "1,2,3" up to a space, ';' or the end. */
static size_t read_list(const char **at, uint32_t *list)
{
    size_t count = 0;
    while (**at >= '0' && **at <= '9') {
        char *end;
        list[count++] = (uint32_t)strtoul(*at, &end, 10);
        *at = end;
        if (**at == ',')
            (*at)++;
    }
    return count;
}

static void play_map(struct player *player, const char *line)
{
    Torc__Wire__Map map = TORC__WIRE__MAP__INIT;
    Torc__Wire__MapReply reply = TORC__WIRE__MAP_REPLY__INIT;
    Torc__Wire__Ring ring = TORC__WIRE__RING__INIT;
    Torc__Wire__Limits limits = TORC__WIRE__LIMITS__INIT;
    static Torc__Wire__Node nodes[NODES_MAX], *node_list[NODES_MAX];
    static Torc__Wire__Group groups[NODES_MAX], *group_list[NODES_MAX];
    static Torc__Wire__Replica replicas[NODES_MAX][NODES_MAX], *replica_list[NODES_MAX][NODES_MAX];
    static uint8_t cluster[16], storages[NODES_MAX][16];
    static char addresses[NODES_MAX][32];
    uint32_t ids[64], owners[64];
    uint64_t epochs[64];
    const char *at = option(line, "nodes");
    map.version = strtoull(line + strlen("map "), NULL, 10);
    map.n_nodes = read_list(&at, ids);
    for (size_t i = 0; i < map.n_nodes; i++) {
        nodes[i] = (Torc__Wire__Node)TORC__WIRE__NODE__INIT;
        nodes[i].id = ids[i];
        storages[i][0] = (uint8_t)ids[i];
        nodes[i].storage = (ProtobufCBinaryData){16, storages[i]};
        snprintf(addresses[i], sizeof(addresses[i]), "tcp://127.0.0.1:%u", 7400 + ids[i]);
        nodes[i].address = addresses[i];
        node_list[i] = &nodes[i];
    }
    for (at = option(line, "groups"); *at >= '0' && *at <= '9'; at += *at == ';') {
        size_t g = map.n_groups++;
        char *end;
        groups[g] = (Torc__Wire__Group)TORC__WIRE__GROUP__INIT;
        groups[g].id = (uint32_t)strtoul(at, &end, 10);
        at = end + 1;
        groups[g].n_replicas = read_list(&at, ids);
        for (size_t i = 0; i < groups[g].n_replicas; i++) {
            replicas[g][i] = (Torc__Wire__Replica)TORC__WIRE__REPLICA__INIT;
            replicas[g][i].id = groups[g].id * 100 + ids[i];
            replicas[g][i].node = ids[i];
            replicas[g][i].voter = true;
            replica_list[g][i] = &replicas[g][i];
        }
        groups[g].replicas = replica_list[g];
        group_list[g] = &groups[g];
    }
    at = option(line, "owners");
    ring.n_owners = ring.n_epochs = read_list(&at, owners);
    for (size_t i = 0; i < ring.n_owners; i++)
        epochs[i] = map.version;
    ring.owners = owners;
    ring.epochs = epochs;
    limits.key_size_max = 16;
    limits.value_size_max = 1000;
    limits.request_size_max = 4096;
    cluster[0] = 7;
    map.cluster = (ProtobufCBinaryData){16, cluster};
    map.nodes = node_list;
    map.groups = group_list;
    map.ring = &ring;
    map.limits = &limits;
    reply.map = &map;
    reply.version = map.version;
    deliver(player, 1, 1, WIRE_TYPE_MAP, &reply.base, base_bytes_of(NULL, 0));
}

/* "NODE[.LIFE] GROUP ..." */
static const char *read_sender(const char *at, uint32_t *ret_node, uint32_t *ret_life,
                               uint32_t *ret_group)
{
    char *end;
    *ret_node = (uint32_t)strtoul(at, &end, 10);
    *ret_life = 1;
    if (*end == '.')
        *ret_life = (uint32_t)strtoul(end + 1, &end, 10);
    *ret_group = (uint32_t)strtoul(end, &end, 10);
    return end;
}

static void play_welcome(struct player *player, const char *line)
{
    uint32_t node, life;
    Torc__Wire__Welcome welcome = TORC__WIRE__WELCOME__INIT;
    const char *rest = read_sender(line + strlen("welcome "), &node, &life, &welcome.group);
    welcome.leader_node = (uint32_t)number_option(rest, "leader", 0);
    welcome.credit = number_option(rest, "credit", 100);
    uint64_t clock_ms = number_option(rest, "clock", 1000);
    welcome.clock = base_hlc_from_ms(clock_ms);
    if (welcome.leader_node == node)
        welcome.stamp = base_hlc_from_ms(number_option(rest, "stamp", clock_ms));
    welcome.request_time_max_ms = number_option(rest, "time_max", 0);
    deliver(player, node, life, WIRE_TYPE_WELCOME, &welcome.base, base_bytes_of(NULL, 0));
}

static size_t write_keys(const char *at, uint8_t *out)
{
    size_t size = 0;
    while (*at == ' ')
        at++;
    while (*at >= '0' && *at <= '9') {
        char *end;
        base_put_le64(out + size, strtoull(at, &end, 10));
        at = end + 1;
        size_t key = strcspn(at, " ,");
        base_put_le16(out + size + 8, (uint16_t)key);
        memcpy(out + size + 10, at, key);
        size += 10 + key;
        at += key;
        at += *at == ' ';
    }
    return size;
}

/* One result "WORD [ARGUMENT...]"; false: `text` is no result but a status. */
static bool read_result(const char *text, struct wire_result *result, uint8_t *bytes)
{
    char *end;
    *result = (struct wire_result){.version = 1};
    if (strncmp(text, "ok", 2) == 0) {
        result->kind = WIRE_RESULT_OK;
    } else if (strncmp(text, "nil", 3) == 0) {
        result->kind = WIRE_RESULT_NIL;
    } else if (strncmp(text, "int ", 4) == 0) {
        result->kind = WIRE_RESULT_INTEGER;
        result->number = (uint64_t)strtoll(text + 4, NULL, 10);
    } else if (strncmp(text, "value ", 6) == 0) {
        result->kind = WIRE_RESULT_BYTES;
        result->bytes = base_bytes_of(text + 6, strcspn(text + 6, " ,"));
    } else if (strncmp(text, "stat ", 5) == 0) {
        result->kind = WIRE_RESULT_STAT;
        base_put_le64(bytes, strtoull(text + 5, &end, 10));
        result->number = strtoull(end, NULL, 10);
        result->bytes = base_bytes_of(bytes, 8);
    } else if (strncmp(text, "keys ", 5) == 0) {
        result->kind = WIRE_RESULT_KEYS;
        result->number = strtoull(text + 5, &end, 10);
        result->bytes = base_bytes_of(bytes, write_keys(end, bytes));
    } else if (strncmp(text, "count ", 6) == 0) {
        result->kind = WIRE_RESULT_KEYS;
        result->number = strtoull(text + 6, &end, 10);
        base_put_le64(bytes, strtoull(end, NULL, 10));
        result->bytes = base_bytes_of(bytes, 8);
    } else if (strncmp(text, "rows ", 5) == 0) {
        result->kind = WIRE_RESULT_KEYS;
        result->number = strtoull(text + 5, &end, 10);
        end += *end == ' ';
        result->bytes = base_bytes_of(end, strcspn(end, " ,"));
    } else if (strncmp(text, "error ", 6) == 0) {
        result->kind = WIRE_RESULT_ERROR;
        result->error = (enum wire_error)strtoul(text + 6, NULL, 10);
    } else {
        return false;
    }
    return true;
}

static enum wire_answer_status read_status(const struct player *player, const char *text,
                                           uint64_t *ret_detail)
{
    static const struct {
        const char *name;
        enum wire_answer_status status;
    } names[] = {
        {"not_leader", WIRE_NOT_LEADER},
        {"busy", WIRE_BUSY},
        {"moved", WIRE_MOVED},
        {"no_answer", WIRE_NO_ANSWER},
        {"too_late", WIRE_TOO_LATE},
        {"refused", WIRE_REFUSED},
        {"check_failed", WIRE_CHECK_FAILED},
        {"too_early", WIRE_TOO_EARLY},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = strlen(names[i].name);
        if (strncmp(text, names[i].name, size) == 0) {
            *ret_detail = strtoull(text + size, NULL, 10);
            return names[i].status;
        }
    }
    die(player, "unknown answer");
}

/* "NUMBER RESULT [/ RESULT...]" */
static size_t write_answer(const struct player *player, const char *text, uint64_t clock,
                           uint8_t *out, size_t capacity)
{
    char *rest;
    uint8_t bytes[512];
    struct wire_result result;
    uint64_t number = strtoull(text, &rest, 10), detail = 0;
    rest += *rest == ' ';
    enum wire_answer_status status = WIRE_DONE;
    if (!read_result(rest, &result, bytes))
        status = read_status(player, rest, &detail);
    size_t size = wire_answer_begin(out, capacity, status, number, clock, detail);
    uint16_t count = 0;
    while (status == WIRE_DONE && rest != NULL && read_result(rest, &result, bytes)) {
        size += wire_result_write(out + size, capacity - size, &result);
        count++;
        rest = strstr(rest, "/ ");
        if (rest != NULL)
            rest += 2;
    }
    wire_answer_end(out, size, count);
    return size;
}

static void play_reply(struct player *player, char *line)
{
    static uint8_t payload[65536];
    uint32_t node, life;
    size_t size = 0;
    Torc__Wire__Reply reply = TORC__WIRE__REPLY__INIT;
    char *answers = strstr(line, " : ");
    if (answers != NULL)
        *answers = '\0';
    const char *rest = read_sender(line + strlen("reply "), &node, &life, &reply.group);
    reply.leader_node = (uint32_t)number_option(rest, "leader", node);
    reply.credit = number_option(rest, "credit", 0);
    reply.map_version = number_option(rest, "map", 1);
    uint64_t clock_ms = number_option(rest, "clock", 1000);
    reply.clock = base_hlc_from_ms(clock_ms);
    if (reply.leader_node == node)
        reply.stamp = base_hlc_from_ms(number_option(rest, "stamp", clock_ms));
    for (char *at = answers == NULL ? NULL : answers + 3; at != NULL;) {
        char *comma = strstr(at, ", ");
        if (comma != NULL)
            *comma = '\0';
        size += write_answer(player, at, reply.clock, payload + size, sizeof(payload) - size);
        reply.answer_count++;
        at = comma == NULL ? NULL : comma + 2;
    }
    reply.answer_count += (uint32_t)number_option(rest, "more", 0);
    deliver(player, node, life, WIRE_TYPE_REPLY, &reply.base, base_bytes_of(payload, size));
}

/* ---- The script
 * ---------------------------------------------------------------------------------- */

static void play_router(struct player *player, const char *line)
{
    static const struct router_setting settings[] = {{"probe_ms", "50"}, {"probe_max_ms", "1000"}};
    struct router_config config = {
        .settings = settings,
        .setting_count = 2,
        .courier =
            {
                .cluster = {.bytes = {7}},
                .client = {1, 2},
                .seed = 1,
                .seeds = seeds,
                .seed_count = 1,
                .request_timeout_ms = (uint32_t)number_option(line, "timeout", 5000),
                .silence_ms = 150,
                .probe_ms = 50,
                .probe_max_ms = (uint32_t)number_option(line, "probe_max", 1000),
                .resend_ms = 500,
                .inflight_max = (uint32_t)number_option(line, "inflight", 1000),
                .inflight_size_max = 1 << 20,
                .message_size_max = 1 << 16,
            },
        .clients_max = (uint32_t)number_option(line, "clients", 8),
        .client_inflight_max = (uint32_t)number_option(line, "client_inflight", 100),
        .client_output_pause = number_option(line, "output_pause", 1000),
        .client_output_max = number_option(line, "output_max", 4000),
        .clients_size_max = number_option(line, "clients_size_max", 1 << 20),
        .version = "1.2.3",
        .run_id = "0123456789012345678901234567890123456789",
        .resp_address = "127.0.0.1:7379",
        .process_id = 42,
        .slowlog_slower_than_us = (int64_t)number_option(line, "slowlog", 10000),
        .slowlog_entries_max = (uint32_t)number_option(line, "slowlog_entries", 3),
    };
    router_free(player->router);
    memset(player->clients, 0, sizeof(player->clients));
    player->router = router_new(player->allocator, &config, player->now_us);
}

static size_t read_client(const struct player *player, const char *text)
{
    if (text[0] != 'c' || text[1] < '0' || text[1] > '9')
        die(player, "no such line");
    size_t client = strtoul(text + 1, NULL, 10);
    if (client >= CLIENTS_MAX)
        die(player, "no such client");
    return client;
}

static void play_client(struct player *player, char *line)
{
    char bytes[LINE_SIZE_MAX + 2];
    bool raw = strncmp(line, "raw ", 4) == 0;
    char *at = raw ? line + 4 : line;
    size_t client = read_client(player, at);
    if (!player->clients[client].open)
        die(player, "the client is not open");
    at += strcspn(at, " ");
    at += *at == ' ';
    size_t size = unescape(at, bytes);
    if (!raw) {
        bytes[size++] = '\r';
        bytes[size++] = '\n';
    }
    router_connection_bytes(player->router, player->clients[client].slot,
                            base_bytes_of(bytes, size));
}

static bool play_open_close(struct player *player, const char *line)
{
    if (strncmp(line, "open ", 5) == 0) {
        size_t client = read_client(player, line + 5);
        char address[32];
        snprintf(address, sizeof(address), "10.0.0.%zu:1024", client);
        struct router_peer peer = {address, "127.0.0.1:7379"};
        player->clients[client].slow = false;
        player->clients[client].open =
            router_connection_opened(player->router, &peer, &player->clients[client].slot) ==
            TORC_OK;
        if (!player->clients[client].open) {
            printf("  refused ");
            print_bytes(router_refusal());
            printf("\n");
        }
    } else if (strncmp(line, "close ", 6) == 0) {
        size_t client = read_client(player, line + 6);
        player->clients[client].open = false;
        router_connection_closed(player->router, player->clients[client].slot);
    } else if (strncmp(line, "end ", 4) == 0) {
        router_connection_ended(player->router,
                                player->clients[read_client(player, line + 4)].slot);
    } else if (strncmp(line, "slow ", 5) == 0) {
        player->clients[read_client(player, line + 5)].slow = true;
    } else if (strncmp(line, "written ", 8) == 0) {
        router_connection_written(player->router,
                                  player->clients[read_client(player, line + 8)].slot);
    } else {
        return false;
    }
    return true;
}

static void play(struct player *player, char *line)
{
    if (strncmp(line, "router", 6) == 0) {
        play_router(player, line);
        return;
    }
    if (player->router == NULL)
        die(player, "no router yet");
    if (strncmp(line, "time ", 5) == 0) {
        if (strcmp(line + 5, "wake") != 0)
            player->now_us += strtoull(line + 5, NULL, 10) * 1000;
        else if (player->wake_at_us > player->now_us)
            player->now_us = player->wake_at_us;
        router_turn(player->router, player->now_us, unix_us + player->now_us);
    } else if (strncmp(line, "map ", 4) == 0) {
        play_map(player, line);
    } else if (strncmp(line, "welcome ", 8) == 0) {
        play_welcome(player, line);
    } else if (strncmp(line, "reply ", 6) == 0) {
        play_reply(player, line);
    } else if (strncmp(line, "lost ", 5) == 0) {
        router_peer_lost(player->router, (uint32_t)strtoul(line + 5, NULL, 10) - 1);
    } else if (strcmp(line, "drain") == 0) {
        router_drain(player->router);
        printf("  drained: %s\n", router_drained(player->router) ? "yes" : "no");
    } else if (strcmp(line, "drained") == 0) {
        printf("  drained: %s\n", router_drained(player->router) ? "yes" : "no");
    } else if (!play_open_close(player, line)) {
        play_client(player, line);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: script FILE\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "r");
    if (file == NULL) {
        perror(argv[1]);
        return 2;
    }
    struct counting counting;
    struct player player = {.allocator = counting_init(&counting), .now_us = 1000000};
    char line[LINE_SIZE_MAX];
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        player.line++;
        if (strncmp(line, "  ", 2) == 0)
            continue;
        puts(line);
        if (line[0] == '\0' || line[0] == '#')
            continue;
        bool joined = line[0] == '+';
        play(&player, line + joined);
        if (!joined)
            settle(&player);
    }
    fclose(file);
    router_free(player.router);
    counting_fini(&counting);
    return 0;
}

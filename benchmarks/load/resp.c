/* RESP2: Redis, a Redis Cluster, torc's router. Replies come in the order of the requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "benchmarks/load/load.h"

enum { LINES_MAX = 65536, ERRORS_SHOWN_MAX = 3 };

static void put_set(struct load *load, const struct load_request *request)
{
    static uint8_t value[DATA_VALUE_SIZE_MAX];
    struct load_connection *connection = request->slot->connection;
    char size[32];
    load_value_write(load, request, value);
    load_put(connection, "*3\r\n$3\r\nSET\r\n$16\r\n", 18);
    load_put(connection, request->key, DATA_KEY_SIZE);
    int length = snprintf(size, sizeof(size), "\r\n$%zu\r\n", load->options.value_size);
    load_put(connection, size, (size_t)length);
    load_put(connection, value, load->options.value_size);
    load_put(connection, "\r\n", 2);
}

static void resp_send(struct load *load, struct load_slot *slot)
{
    static const char wait[] = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n1000\r\n";
    for (unsigned i = 0; i < slot->request_count; i++) {
        const struct load_request *request = &slot->requests[i];
        if (request->op == LOAD_SET) {
            put_set(load, request);
        } else if (request->op == LOAD_GET) {
            load_put(slot->connection, "*2\r\n$3\r\nGET\r\n$16\r\n", 18);
            load_put(slot->connection, request->key, DATA_KEY_SIZE);
            load_put(slot->connection, "\r\n", 2);
        } else {
            load_put(slot->connection, wait, sizeof(wait) - 1);
        }
    }
    load_flush(slot->connection);
}

static void show_error(struct base_bytes line)
{
    static int shown;
    if (shown++ < ERRORS_SHOWN_MAX)
        fprintf(stderr, "torc-load: reply: %.*s\n", (int)(line.size < 200 ? line.size : 200),
                (const char *)line.data);
}

/* Bytes of the first whole reply, or 0; *ret_good: whether it is what the request is owed. */
static size_t read_reply(const struct load *load, const struct load_request *request,
                         struct base_bytes bytes, bool *ret_good)
{
    const uint8_t *end = bytes.size == 0 ? NULL : memchr(bytes.data, '\n', bytes.size);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - bytes.data) + 1;
    const char *line = (const char *)bytes.data;
    size_t whole = head;
    *ret_good = false;
    if (line[0] == '$') {
        long size = strtol(line + 1, NULL, 10);
        if (size >= 0)
            whole += (size_t)size + 2;
        if (bytes.size < whole)
            return 0;
        *ret_good = request->op == LOAD_GET && size >= 0 &&
                    load_value_good(load, request, base_bytes_of(end + 1, (size_t)size));
    } else if (request->op == LOAD_SET) {
        *ret_good = head == 5 && memcmp(line, "+OK\r\n", 5) == 0;
    } else if (request->op == LOAD_WAIT) {
        *ret_good = line[0] == ':' && strtol(line + 1, NULL, 10) >= 1;
    }
    if (!*ret_good)
        show_error(base_bytes_of(line, head >= 2 ? head - 2 : 0));
    return whole;
}

static void resp_receive(struct load *load, struct load_connection *connection)
{
    struct load_slot *slot = connection->slot;
    load_fill(connection);
    size_t used = 0, size;
    unsigned answered = slot->answered, wanted = slot->request_count;
    /* The last answer begins the next round, whose replies cannot be here yet. */
    while (answered < wanted) {
        bool good;
        struct load_request *request = &slot->requests[answered];
        size = read_reply(load, request,
                          base_bytes_of(connection->in + used, connection->in_size - used), &good);
        if (size == 0)
            break;
        used += size;
        answered++;
        if (answered == wanted)
            load_drop(connection, used);
        load_answered(load, request, good);
    }
    if (answered < wanted)
        load_drop(connection, used);
    else if (connection->in_size > 0)
        load_die("the server sent more replies than it was asked for");
}

static void resp_open(struct load *load)
{
    unsigned first = 0;
    load_connect_all(load, &first, 1);
}

static void resp_close(struct load *load)
{
    load_disconnect_all(load);
    if (load->key_ports != NULL)
        base_free(base_allocator_system(), load->key_ports, load->options.key_count);
}

/* ---- Redis Cluster: each connection is to one master, and takes keys of its slots --------------
 */

static void read_nodes(uint16_t port, char *text, size_t text_size)
{
    static const char question[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n";
    int fd = load_connect(port);
    if (write(fd, question, sizeof(question) - 1) != sizeof(question) - 1)
        load_die("CLUSTER NODES cannot be asked");
    size_t size = 0, wanted = SIZE_MAX;
    while (size < wanted && size < text_size - 1) {
        ssize_t count = read(fd, text + size, text_size - 1 - size);
        if (count <= 0)
            load_die("CLUSTER NODES was not answered");
        size += (size_t)count;
        text[size] = '\0';
        char *end = strstr(text, "\r\n");
        if (end != NULL && text[0] != '$')
            load_die("this is no Redis Cluster: %.60s", text);
        if (end != NULL)
            wanted = (size_t)(end - text) + 2 + (size_t)strtol(text + 1, NULL, 10) + 2;
    }
    close(fd);
}

static unsigned port_index_of(const struct load_options *options, const char *address)
{
    const char *colon = strchr(address, ':');
    long port = colon == NULL ? 0 : strtol(colon + 1, NULL, 10);
    for (unsigned i = 0; i < options->port_count; i++) {
        if (options->ports[i] == port)
            return i;
    }
    load_die("CLUSTER NODES names %s, which is not among --ports", address);
}

/* The slots of one line of CLUSTER NODES: from its ninth word on, "FIRST-LAST" or "ONE". */
static void read_owner(const struct load_options *options, char *line, uint8_t *owners)
{
    char *rest, *words[3] = {NULL}, *word = strtok_r(line, " \r", &rest);
    for (unsigned i = 0; word != NULL; i++, word = strtok_r(NULL, " \r", &rest)) {
        if (i < 3)
            words[i] = word;
        if (i < 8 || strstr(words[2], "master") == NULL || word[0] == '[')
            continue;
        char *dash;
        long first = strtol(word, &dash, 10);
        long last = *dash == '-' ? strtol(dash + 1, NULL, 10) : first;
        for (long slot = first; slot >= 0 && slot <= last && slot < 16384; slot++)
            owners[slot] = (uint8_t)port_index_of(options, words[1]);
    }
}

static void cluster_open(struct load *load)
{
    static char text[LINES_MAX];
    static uint8_t owners[16384];
    const struct load_options *options = &load->options;
    memset(owners, UINT8_MAX, sizeof(owners));
    read_nodes(options->ports[0], text, sizeof(text));
    char *rest, *line = strtok_r(text, "\n", &rest);
    for (; line != NULL; line = strtok_r(NULL, "\n", &rest))
        read_owner(options, line, owners);
    unsigned masters[LOAD_PORTS_MAX], count = 0;
    for (unsigned i = 0; i < options->port_count; i++) {
        if (memchr(owners, (int)i, sizeof(owners)) != NULL)
            masters[count++] = i;
    }
    if (count == 0 || memchr(owners, UINT8_MAX, sizeof(owners)) != NULL)
        load_die("the Redis Cluster does not own all slots");
    load->key_ports = base_alloc(base_allocator_system(), options->key_count);
    for (uint64_t i = 0; i < options->key_count; i++) {
        uint8_t key[DATA_KEY_SIZE];
        data_key_write(key, i);
        load->key_ports[i] = owners[data_slot(key, sizeof(key))];
    }
    if (options->mode == LOAD_MODE_FILL && options->connections < count)
        load_die("a fill needs a connection to each of %u masters", count);
    load_connect_all(load, masters, count);
}

const struct load_backend load_resp = {
    .name = "resp",
    .one_slot_each = true,
    .open = resp_open,
    .send = resp_send,
    .receive = resp_receive,
    .close = resp_close,
};

const struct load_backend load_resp_cluster = {
    .name = "redis-cluster",
    .one_slot_each = true,
    .open = cluster_open,
    .send = resp_send,
    .receive = resp_receive,
    .close = resp_close,
};

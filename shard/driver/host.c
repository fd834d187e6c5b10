#include "shard/driver/host.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/net.h"
#include "shard/driver/disk.h"
#include "shard/driver/storage.h"
#include "shard/node.h"
#include "store/cache.h"

enum {
    HOST_FACTS_INTERVAL_MS = 1000,
    HOST_DRAIN_MS = 2000,
    HOST_QUEUE_MAX = 65536,
    HOST_EXIT_REFUSED = 1,  /* The data directory, the address or the peers say no. */
    HOST_EXIT_FULL = 73,    /* EX_CANTCREAT of sysexits.h: no room for the log. */
    HOST_EXIT_DAMAGED = 74, /* EX_IOERR: the log does not read back. */
};

struct host {
    const struct shard_driver_config *config;
    struct host_storage storage;
    struct shard_disk *disk;
    struct shard_node *node;
    struct net *net;
    uv_loop_t loop;
    uv_poll_t disk_poll;
    uv_timer_t wake, facts, drain;
    uv_prepare_t prepare;
    uv_signal_t terminate, interrupt;
    uint64_t map_version; /* Of the map whose nodes are connected. */
    struct net_peer *peers[SHARD_NODES_MAX];
    uint32_t peer_nodes[SHARD_NODES_MAX];
    size_t peer_count;
    bool turn_wanted, draining, stopping;
    bool full; /* The state has no room, and the log says so. */
    int exit_code;
};

/* Time that goes on while the machine sleeps: leases and elections count it (DESIGN section 4). */
static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

/* ---- Peers
 * ---------------------------------------------------------------------------------------- */

static struct net_peer *find_peer(const struct host *host, uint32_t node)
{
    for (size_t i = 0; i < host->peer_count; i++) {
        if (host->peer_nodes[i] == node)
            return host->peers[i];
    }
    return NULL;
}

/* Connects to the nodes of a newer map. */
static void follow_map(struct host *host)
{
    const struct shard_map *map = shard_node_map(host->node);
    if (map->version == host->map_version)
        return;
    host->map_version = map->version;
    for (uint32_t i = 0; i < map->node_count; i++) {
        const struct shard_map_node *node = &map->nodes[i];
        if (node->id == host->config->node || find_peer(host, node->id) != NULL)
            continue;
        struct net_peer *peer = net_connect(host->net, node->address, host);
        if (peer == NULL) {
            base_log(BASE_LOG_ERROR, "peer_address", "node=%u address=\"%s\"", node->id,
                     node->address);
            continue;
        }
        host->peer_nodes[host->peer_count] = node->id;
        host->peers[host->peer_count++] = peer;
    }
    base_log(BASE_LOG_INFO, "map", "node=%llu version=%llu nodes=%u groups=%u",
             (unsigned long long)host->config->node, (unsigned long long)map->version,
             map->node_count, map->group_count);
}

/* ---- The turn
 * ------------------------------------------------------------------------------------- */

static void stop(struct host *host, int exit_code)
{
    if (host->stopping)
        return;
    host->stopping = true;
    host->exit_code = exit_code;
    uv_stop(&host->loop);
}

static void on_wake(uv_timer_t *timer)
{
    struct host *host = timer->data;
    host->turn_wanted = true;
}

static void send_messages(struct host *host, const struct shard_node_ready *ready)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        const struct shard_send *send = &ready->sends[i];
        enum torc_status status;
        if (send->node == 0) {
            status = net_answer(host->net, send->route, send->message);
        } else {
            struct net_peer *peer = find_peer(host, send->node);
            status = peer == NULL ? TORC_NOT_FOUND : net_send(host->net, peer, send->message);
        }
        /* Dropped and counted by net; every protocol above has its own retry. */
        (void)status;
    }
}

/* Why the process must end; with how far the log should go and does, where that is the reason. */
static void log_refusal(const struct host *host, const struct shard_node_ready *ready)
{
    char batches[80] = "";
    if (ready->fatal_expected != 0)
        snprintf(batches, sizeof(batches), " expected_batch=%llu found_batch=%llu",
                 (unsigned long long)ready->fatal_expected, (unsigned long long)ready->fatal_found);
    base_log(BASE_LOG_ERROR, "refused", "node=%llu dir=\"%s\"%s why=\"%s\"",
             (unsigned long long)host->config->node, host->config->dir, batches, ready->fatal);
}

static void take_turn(struct host *host)
{
    struct shard_node_ready ready;
    uint64_t now = now_ms();
    shard_node_turn(host->node, now, clock_ms(CLOCK_REALTIME), &ready);
    if (ready.fatal != NULL) {
        log_refusal(host, &ready);
        stop(host, HOST_EXIT_REFUSED);
        return;
    }
    shard_disk_submit(host->disk, &ready);
    follow_map(host);
    send_messages(host, &ready);
    uint64_t wait = ready.wake_at_ms > now ? ready.wake_at_ms - now : 0;
    uv_update_time(&host->loop);
    uv_timer_start(&host->wake, on_wake, wait, 0);
    if (host->draining && shard_node_is_drained(host->node))
        stop(host, 0);
}

/* The turn is taken right before the loop would wait: after timers, and after everything that the
 * last poll brought. (In a check handle a timer's turn would come only after the next wait.) */
static void on_prepare(uv_prepare_t *prepare)
{
    struct host *host = prepare->data;
    if (!host->turn_wanted || host->stopping)
        return;
    host->turn_wanted = false;
    take_turn(host);
}

/* ---- What comes in
 * -------------------------------------------------------------------------------- */

static void receive(struct host *host, uint64_t route, bool on_dealer, struct base_bytes message)
{
    struct wire_envelope envelope;
    enum torc_status status = wire_envelope_read(message, &envelope);
    if (status == TORC_OK)
        status = shard_node_receive(host->node, route, on_dealer, &envelope, now_ms());
    if (status != TORC_OK && status != TORC_STALE)
        base_log(BASE_LOG_DEBUG, "message_refused", "node=%llu size=%zu why=\"%s\"",
                 (unsigned long long)host->config->node, message.size, torc_status_text(status));
}

static void on_request(void *context, uint64_t route, struct base_bytes message)
{
    receive(context, route, false, message);
}

static void on_answer(void *context, struct net_peer *peer, struct base_bytes message)
{
    (void)peer;
    receive(context, 0, true, message);
}

static void on_net_turn(void *context)
{
    struct host *host = context;
    host->turn_wanted = true;
}

static void on_disk(uv_poll_t *poll, int status, int events)
{
    struct host *host = poll->data;
    TORC_ASSERT(status == 0);
    (void)events;
    if (shard_disk_collect(host->disk, host->node, now_ms()))
        host->turn_wanted = true;
    if (shard_disk_is_full(host->disk))
        stop(host, HOST_EXIT_FULL);
    if (shard_disk_is_damaged(host->disk))
        stop(host, HOST_EXIT_DAMAGED);
}

static void on_facts(uv_timer_t *timer)
{
    struct host *host = timer->data;
    shard_disk_ask_facts(host->disk);
    bool full = shard_node_is_full(host->node);
    if (full && !host->full)
        base_log(BASE_LOG_ERROR, "state_full",
                 "node=%llu dir=\"%s\" why=\"less than state.free_size_min is free on the disk: "
                 "nothing is applied until there is room\"",
                 (unsigned long long)host->config->node, host->config->dir);
    if (!full && host->full)
        base_log(BASE_LOG_INFO, "state_has_room", "node=%llu",
                 (unsigned long long)host->config->node);
    host->full = full;
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct host *host = timer->data;
    base_log(BASE_LOG_WARN, "stop", "node=%llu why=\"leadership was not taken over in time\"",
             (unsigned long long)host->config->node);
    stop(host, 0);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct host *host = signal->data;
    if (host->draining) {
        stop(host, 0);
        return;
    }
    base_log(BASE_LOG_INFO, "stopping", "node=%llu signal=%d",
             (unsigned long long)host->config->node, number);
    host->draining = true;
    shard_node_drain(host->node, now_ms());
    uv_timer_start(&host->drain, on_drain_timeout, HOST_DRAIN_MS, 0);
    host->turn_wanted = true;
    uv_timer_start(&host->wake, on_wake, 0, 0);
}

/* ---- Life
 * ----------------------------------------------------------------------------------------- */

static struct shard_timing timing_of(const struct shard_driver_config *config)
{
    return (struct shard_timing){.heartbeat_interval_ms = (uint32_t)config->heartbeat_interval_ms,
                                 .election_timeout_ms = (uint32_t)config->election_timeout_ms,
                                 .retransmit_timeout_ms = (uint32_t)config->retransmit_timeout_ms,
                                 .clock_drift_per_mille = 50,
                                 .window_entries_max = 1024,
                                 .window_bytes_max = 16 << 20,
                                 .cache_bytes_max = 2 << 20,
                                 .message_bytes_max = 1 << 20,
                                 .reads_max = 4096};
}

static bool serves_row(void *context, struct base_bytes state_key)
{
    return shard_node_serves_row(context, state_key);
}

static bool open_node(struct host *host)
{
    const struct shard_driver_config *config = host->config;
    const struct store_superblock *superblock = host->storage.superblock;
    struct shard_node_config node = {.id = (uint32_t)config->node,
                                     .incarnation = superblock->incarnation,
                                     .recovered_batch = host->storage.recovered_batch,
                                     .lease_max_ms = superblock->lease_max_ms,
                                     .timing = timing_of(config),
                                     .apply_bytes_max = 256 << 10,
                                     .request_time_max_ms = config->request_time_max_ms,
                                     .records_bytes_max = config->records_bytes_max,
                                     .credit = 4096,
                                     .pending_max = 16384,
                                     .read_batches_max = 2048,
                                     .entries_max = 1,
                                     .entry_bytes_max =
                                         SHARD_LOG_BATCH_SIZE_MAX - STORE_RECORD_HEADER_SIZE,
                                     .log_size_max = config->log_size_max,
                                     .flush_bytes = config->flush_bytes,
                                     .greeting_timeout_ms = (uint32_t)config->greeting_timeout_ms};
    memcpy(node.cluster.bytes, superblock->cluster_id, WIRE_ID_SIZE);
    memcpy(node.storage.bytes, superblock->storage_id, WIRE_ID_SIZE);
    /* Only spreads elections: the storage id is random, the incarnation new in every life. */
    node.seed = base_get_le64(superblock->storage_id) + superblock->incarnation;
    const char *text = "";
    enum torc_status status = shard_node_new(&node, host->storage.recovery, host->storage.kv,
                                             &host->storage.pool, base_allocator_system(), now_ms(),
                                             clock_ms(CLOCK_REALTIME), &text, &host->node);
    if (status != TORC_OK)
        base_log(BASE_LOG_ERROR, "refused", "node=%llu dir=\"%s\" why=\"%s\"",
                 (unsigned long long)config->node, config->dir, text);
    else
        store_cache_keep_written(host->storage.cache, serves_row, host->node);
    host_storage_recovered(&host->storage);
    return status == TORC_OK;
}

static bool open_net(struct host *host)
{
    struct net_config config = {.listen = host->config->listen,
                                .identity = (uint64_t)host->config->node << 32 |
                                            host->storage.superblock->incarnation,
                                .queue_max = HOST_QUEUE_MAX,
                                .message_size_max = 64 << 20,
                                .insecure = host->config->insecure};
    struct net_callbacks callbacks = {
        .on_request = on_request, .on_answer = on_answer, .on_turn = on_net_turn, .context = host};
    char text[NET_TEXT_SIZE];
    enum torc_status status = net_open(&host->loop, &config, &callbacks, text, &host->net);
    if (status != TORC_OK)
        base_log(BASE_LOG_ERROR, "listen_failed", "node=%llu why=\"%s\"",
                 (unsigned long long)host->config->node, text);
    if (status == TORC_OK && host->config->insecure)
        base_log(BASE_LOG_WARN, "insecure",
                 "node=%llu why=\"anybody who reaches %s reads and writes everything\"",
                 (unsigned long long)host->config->node, host->config->listen);
    return status == TORC_OK;
}

static void open_handles(struct host *host)
{
    uv_loop_t *loop = &host->loop;
    uv_poll_init(loop, &host->disk_poll, store_thread_fd(host->storage.thread));
    uv_timer_init(loop, &host->wake);
    uv_timer_init(loop, &host->facts);
    uv_timer_init(loop, &host->drain);
    uv_prepare_init(loop, &host->prepare);
    uv_signal_init(loop, &host->terminate);
    uv_signal_init(loop, &host->interrupt);
    host->disk_poll.data = host->wake.data = host->facts.data = host;
    host->drain.data = host->prepare.data = host;
    host->terminate.data = host->interrupt.data = host;
    uv_poll_start(&host->disk_poll, UV_READABLE, on_disk);
    /* Started after net's own: libuv runs the latest first, so net looks after what a turn sent. */
    uv_prepare_start(&host->prepare, on_prepare);
    uv_timer_start(&host->wake, on_wake, 0, 0);
    uv_timer_start(&host->facts, on_facts, 0, HOST_FACTS_INTERVAL_MS);
    uv_signal_start(&host->terminate, on_signal, SIGTERM);
    uv_signal_start(&host->interrupt, on_signal, SIGINT);
}

static void on_net_closed(void *context)
{
    struct host *host = context;
    host->net = NULL;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_all(struct host *host)
{
    if (host->net != NULL) {
        net_close(host->net, on_net_closed, host);
        while (host->net != NULL)
            uv_run(&host->loop, UV_RUN_NOWAIT);
    }
    uv_walk(&host->loop, close_handle, NULL);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    uv_loop_close(&host->loop);
    struct store_request *stopped = host_storage_stop(&host->storage);
    if (host->disk != NULL)
        shard_disk_free(host->disk, stopped);
    shard_node_free(host->node);
    host_storage_close(&host->storage);
}

int shard_host_run(const struct shard_driver_config *config)
{
    struct host host = {.config = config, .exit_code = HOST_EXIT_REFUSED};
    uv_loop_init(&host.loop);
    if (host_storage_open(&host.storage, config) && open_node(&host) && open_net(&host)) {
        host.disk =
            shard_disk_new(host.storage.thread, &host.storage.pool, base_allocator_system());
        open_handles(&host);
        base_log(BASE_LOG_INFO, "started", "node=%llu incarnation=%u listen=%s batch=%llu",
                 (unsigned long long)config->node, host.storage.superblock->incarnation,
                 net_address(host.net), (unsigned long long)host.storage.recovered_batch);
        follow_map(&host);
        uv_run(&host.loop, UV_RUN_DEFAULT);
        base_log(BASE_LOG_INFO, "stopped", "node=%llu status=%d", (unsigned long long)config->node,
                 host.exit_code);
    }
    close_all(&host);
    return host.exit_code;
}

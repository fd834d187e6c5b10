#include "router/latency.h"

#include "router/reply.h"

/*
 * The longest time of a bucket. Redis doubles it from 1024 nanoseconds on and adds what it cannot
 * tell from that, one part in 128: 1, 2, 4, 8, 16, 33, 66 microseconds and so on.
 */
static uint64_t bucket_us(size_t bucket)
{
    uint64_t level_ns = UINT64_C(1024) << bucket;
    return (level_ns + level_ns / 128 - 1) / 1000;
}

void router_latency_add(struct router_latency *latency, enum router_command_id id, uint64_t took_us)
{
    size_t bucket = 0;
    while (bucket + 1 < ROUTER_LATENCY_BUCKETS && took_us > bucket_us(bucket))
        bucket++;
    latency->counts[id][bucket]++;
}

/* How many buckets are shown, and the sum of all. */
static size_t buckets_used(const struct router_latency *latency, enum router_command_id id,
                           uint64_t *ret_calls)
{
    size_t used = 0;
    *ret_calls = 0;
    for (size_t i = 0; i < ROUTER_LATENCY_BUCKETS; i++) {
        used += latency->counts[id][i] > 0;
        *ret_calls += latency->counts[id][i];
    }
    return used;
}

/* Counts a row that has run, and with `out` writes its histogram, which is cumulative. */
static size_t histogram(const struct router_latency *latency, const struct router_command *command,
                        unsigned protocol, struct router_buffer *out)
{
    uint64_t calls, sum = 0;
    size_t used = buckets_used(latency, command->id, &calls);
    if (used == 0 || out == NULL)
        return used > 0;
    router_reply_bulk_text(out, command->name);
    router_reply_map(out, protocol, 2);
    router_reply_bulk_text(out, "calls");
    router_reply_integer(out, (int64_t)calls);
    router_reply_bulk_text(out, "histogram_usec");
    router_reply_map(out, protocol, used);
    for (size_t i = 0; i < ROUTER_LATENCY_BUCKETS; i++) {
        uint64_t count = latency->counts[command->id][i];
        if (count == 0)
            continue;
        sum += count;
        router_reply_integer(out, (int64_t)bucket_us(i));
        router_reply_integer(out, (int64_t)sum);
    }
    return 1;
}

/* A row and, of a container, its subcommands. */
static size_t histograms_of(const struct router_latency *latency,
                            const struct router_command *command, unsigned protocol,
                            struct router_buffer *out)
{
    size_t count = histogram(latency, command, protocol, out);
    size_t subs = router_command_sub_count(command);
    for (size_t i = 1; i <= subs; i++) {
        enum router_command_id id = (enum router_command_id)((size_t)command->id + i);
        count += histogram(latency, router_command_at(id), protocol, out);
    }
    return count;
}

/* Those of the names, or all when there are none; counts them, and with `out` writes them. */
static size_t histograms(const struct router_latency *latency, const struct base_bytes *names,
                         size_t name_count, unsigned protocol, struct router_buffer *out)
{
    size_t count = 0;
    for (size_t i = 0; i < name_count; i++) {
        const struct router_command *command = router_command_find_full(names[i]);
        if (command != NULL)
            count += histograms_of(latency, command, protocol, out);
    }
    for (size_t i = 0; name_count == 0 && i < ROUTER_COMMAND_TABLE_SIZE; i++)
        count += histogram(latency, router_command_at((enum router_command_id)i), protocol, out);
    return count;
}

static void graph(struct base_bytes event, struct router_buffer *out)
{
    struct router_buffer text = router_buffer_empty(out->allocator);
    router_buffer_text(&text, "ERR No samples available for event '");
    router_buffer_append(&text, router_command_shown(event, event.size));
    router_buffer_text(&text, "'");
    router_reply_error_bytes(out, router_buffer_bytes(&text));
    router_buffer_fini(&text);
}

bool router_latency_reply(const struct router_latency *latency,
                          const struct router_command *command, const struct base_bytes *args,
                          size_t arg_count, unsigned protocol, struct router_buffer *out)
{
    switch (command->id) {
    case ROUTER_LATENCY_HISTOGRAM:
        router_reply_map(out, protocol,
                         histograms(latency, args + 2, arg_count - 2, protocol, NULL));
        histograms(latency, args + 2, arg_count - 2, protocol, out);
        return true;
    case ROUTER_LATENCY_LATEST:
    case ROUTER_LATENCY_HISTORY:
        router_reply_array(out, 0);
        return true;
    case ROUTER_LATENCY_RESET:
        router_reply_integer(out, 0);
        return true;
    case ROUTER_LATENCY_GRAPH:
        graph(args[2], out);
        return true;
    case ROUTER_LATENCY_DOCTOR:
        router_reply_verbatim(
            out, protocol,
            base_bytes_text("I'm sorry, Dave, I can't do that. Latency monitoring is disabled in "
                            "this Redis instance. You may use \"CONFIG SET "
                            "latency-monitor-threshold <milliseconds>.\" in order to enable it. If "
                            "we weren't in a deep space mission I'd suggest to take a look at "
                            "https://redis.io/topics/latency-monitor.\n"));
        return true;
    default:
        return false;
    }
}

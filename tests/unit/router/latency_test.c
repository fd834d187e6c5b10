#include "router/latency.h"

#include <criterion/criterion.h>
#include <string.h>

#include "router/reply.h"
#include "tests/lib/counting.h"

enum { WORDS_MAX = 8 };

static struct router_latency latency;

/* `text` is words with one space between them. */
static void expect(const char *text, unsigned protocol, const char *reply)
{
    struct counting counting;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    struct base_bytes args[WORDS_MAX];
    size_t count = 0;
    for (const char *at = text; *at != '\0';) {
        size_t size = strcspn(at, " ");
        args[count++] = base_bytes_of(at, size);
        at += size + (at[size] == ' ');
    }
    const struct router_command *command = router_command_resolve(args, count, &out);
    cr_assert_not_null(command, "%s", text);
    cr_assert(router_latency_reply(&latency, command, args, count, protocol, &out));
    cr_assert(base_bytes_equal(router_buffer_bytes(&out), base_bytes_text(reply)), "%s: %.*s", text,
              (int)out.size, (const char *)out.data);
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* A cumulative count at each bound that Redis shows, and nothing where nothing is. */
Test(router_latency, histogram_of_one)
{
    expect("LATENCY HISTOGRAM", 2, "*0\r\n");
    router_latency_add(&latency, ROUTER_GET, 0);
    router_latency_add(&latency, ROUTER_GET, 1);
    router_latency_add(&latency, ROUTER_GET, 33);
    router_latency_add(&latency, ROUTER_GET, 34);
    router_latency_add(&latency, ROUTER_GET, 66);
    expect("LATENCY HISTOGRAM", 2,
           "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:5\r\n$14\r\nhistogram_usec\r\n"
           "*6\r\n:1\r\n:2\r\n:33\r\n:3\r\n:66\r\n:5\r\n");
    expect("LATENCY HISTOGRAM get nosuch set", 3,
           "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:5\r\n$14\r\nhistogram_usec\r\n"
           "%3\r\n:1\r\n:2\r\n:33\r\n:3\r\n:66\r\n:5\r\n");
    router_latency_add(&latency, ROUTER_SET, UINT64_MAX);
    expect("LATENCY HISTOGRAM SET", 2,
           "*2\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
           "*2\r\n:8657043\r\n:1\r\n");
}

/* A container stands for its subcommands, and each has its own name. */
Test(router_latency, histogram_of_subcommands)
{
    static const char id[] = "*2\r\n$9\r\nclient|id\r\n*4\r\n$5\r\ncalls\r\n:1\r\n"
                             "$14\r\nhistogram_usec\r\n*2\r\n:4\r\n:1\r\n";
    router_latency_add(&latency, ROUTER_CLIENT_ID, 3);
    expect("LATENCY HISTOGRAM Client", 2, id);
    expect("LATENCY HISTOGRAM client|id", 2, id);
    expect("LATENCY HISTOGRAM client|getname", 2, "*0\r\n");
}

/* No event has samples: as in Redis while its monitor is off. */
Test(router_latency, there_are_no_events)
{
    expect("LATENCY LATEST", 2, "*0\r\n");
    expect("LATENCY HISTORY command", 2, "*0\r\n");
    expect("LATENCY RESET", 2, ":0\r\n");
    expect("LATENCY RESET a b", 2, ":0\r\n");
    expect("LATENCY GRAPH command", 2, "-ERR No samples available for event 'command'\r\n");
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    cr_assert_not(router_latency_reply(&latency, router_command_at(ROUTER_GET), NULL, 0, 2, &out));
    cr_assert_eq(out.size, 0);
}

#include "router/help.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/lib/counting.h"

static bool ends_with_help(const struct router_command *command)
{
    size_t size = strlen(command->name);
    return size > 5 && strcmp(command->name + size - 5, "|help") == 0;
}

/* Every HELP of the table has a text of as many lines as it says, and nothing else has one. */
Test(router_help, every_help_has_a_text)
{
    struct counting counting;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        const struct router_command *command = router_command_at((enum router_command_id)i);
        out.size = 0;
        cr_assert_eq(router_help_reply(command, &out), ends_with_help(command), "%s",
                     command->name);
        if (out.size == 0)
            continue;
        long lines = 0;
        for (size_t at = 0; at < out.size; at++)
            lines += out.data[at] == '\n';
        router_buffer_append(&out, base_bytes_of("", 1)); /* Ends strtol. */
        cr_assert_eq(out.data[0], '*');
        cr_assert_eq(strtol((const char *)out.data + 1, NULL, 10), lines - 1);
    }
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* To the byte what redis-server 7.0.15 says, but for what is not there. */
Test(router_help, memory)
{
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    cr_assert(router_help_reply(router_command_at(ROUTER_MEMORY_HELP), &out));
    cr_assert(base_bytes_equal(
        router_buffer_bytes(&out),
        base_bytes_text("*10\r\n"
                        "+MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
                        "+DOCTOR\r\n"
                        "+    Return memory problems reports.\r\n"
                        "+STATS\r\n"
                        "+    Return information about the memory usage of the server.\r\n"
                        "+USAGE <key> [SAMPLES <count>]\r\n"
                        "+    Return memory in bytes used by <key> and its value. Nested values are"
                        "\r\n+    sampled up to <count> times (default: 5, 0 means sample all).\r\n"
                        "+HELP\r\n"
                        "+    Prints this help.\r\n")));
    router_buffer_fini(&out);
}

/* Prints docs/commands.md. */
#include <stdio.h>

#include "router/command.h"

int main(void)
{
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    router_command_document(&out);
    fwrite(out.data, 1, out.size, stdout);
    router_buffer_fini(&out);
    return 0;
}

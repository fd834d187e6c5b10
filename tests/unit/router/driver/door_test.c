#include "router/driver/door.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* host_test.c has what needs clients. */

static void on_event(void *context)
{
    (void)context;
}

static void close_door(uv_loop_t *loop, struct router_door *door)
{
    router_door_close(door);
    uv_run(loop, UV_RUN_DEFAULT);
    router_door_free(door);
}

static enum torc_status open_door(uv_loop_t *loop, const char *listen,
                                  char text[ROUTER_DOOR_TEXT_SIZE], struct router_door **ret_door)
{
    struct router_door_config config = {.listen = listen, .clients_max = 1, .on_event = on_event};
    return router_door_new(loop, &config, text, ret_door);
}

/* Port * becomes the one that the system chose; a second door on it is refused, by name. */
Test(router_door, says_what_it_bound)
{
    uv_loop_t loop;
    struct router_door *door, *second;
    char text[ROUTER_DOOR_TEXT_SIZE], address[64];
    uv_loop_init(&loop);
    cr_assert_eq(open_door(&loop, "127.0.0.1:*", text, &door), TORC_OK);
    snprintf(address, sizeof(address), "%s", router_door_address(door));
    cr_assert_eq(strncmp(address, "127.0.0.1:", 10), 0);
    cr_assert_str_neq(address, "127.0.0.1:0");
    cr_assert_eq(open_door(&loop, address, text, &second), TORC_LOCKED);
    cr_assert_not_null(strstr(text, address), "%s", text);
    close_door(&loop, door);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

/* IPv6 in brackets. */
Test(router_door, takes_ipv6)
{
    uv_loop_t loop;
    struct router_door *door;
    char text[ROUTER_DOOR_TEXT_SIZE];
    uv_loop_init(&loop);
    enum torc_status status = open_door(&loop, "[::1]:*", text, &door);
    if (status == TORC_OK) { /* A machine may have no IPv6: then it is an error of the system. */
        cr_assert_eq(strncmp(router_door_address(door), "[::1]:", 6), 0);
        close_door(&loop, door);
    } else {
        cr_assert_eq(status, TORC_IO);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

/* What is no address is refused with one that is. */
Test(router_door, refuses_what_is_no_address)
{
    static const char *const texts[] = {"",
                                        ":1",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:1x",
                                        "localhost:1",
                                        "[::1:1",
                                        "1.2.3.4.5:1"};
    uv_loop_t loop;
    struct router_door *door;
    char text[ROUTER_DOOR_TEXT_SIZE];
    uv_loop_init(&loop);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_assert_eq(open_door(&loop, texts[i], text, &door), TORC_INVALID, "%s", texts[i]);
        cr_assert_not_null(strstr(text, "127.0.0.1:7379"));
    }
    cr_assert_eq(uv_loop_close(&loop), 0);
}

#include "router/reply.h"

#include <criterion/criterion.h>

#include "tests/lib/counting.h"

static struct counting counting;

static void expect(struct router_buffer *out, const char *text)
{
    cr_assert(base_bytes_equal(router_buffer_bytes(out), base_bytes_text(text)), "%.*s",
              (int)out->size, (const char *)out->data);
    out->size = 0;
}

/* Each kind of reply, in the bytes of the protocol's description. */
Test(router_reply, has_the_bytes_of_resp)
{
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    router_reply_simple(&out, "OK");
    expect(&out, "+OK\r\n");
    router_reply_error(&out, "ERR no");
    expect(&out, "-ERR no\r\n");
    router_reply_integer(&out, -5);
    expect(&out, ":-5\r\n");
    router_reply_bulk_text(&out, "a\r\nb");
    expect(&out, "$4\r\na\r\nb\r\n");
    router_reply_bulk_text(&out, "");
    expect(&out, "$0\r\n\r\n");
    router_reply_array(&out, 2);
    expect(&out, "*2\r\n");
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* What differs between the two protocols. */
Test(router_reply, follows_the_protocol_asked_for)
{
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    router_reply_null(&out, 2);
    expect(&out, "$-1\r\n");
    router_reply_null(&out, 3);
    expect(&out, "_\r\n");
    router_reply_map(&out, 2, 3);
    expect(&out, "*6\r\n");
    router_reply_map(&out, 3, 3);
    expect(&out, "%3\r\n");
    router_reply_set(&out, 2, 1);
    expect(&out, "*1\r\n");
    router_reply_set(&out, 3, 1);
    expect(&out, "~1\r\n");
    router_reply_verbatim(&out, 2, base_bytes_text("x"));
    expect(&out, "$1\r\nx\r\n");
    router_reply_verbatim(&out, 3, base_bytes_text("x"));
    expect(&out, "=5\r\ntxt:x\r\n");
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* An error is one line, whatever a client's word in it holds. */
Test(router_reply, error_is_one_line)
{
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    router_reply_error(&out, "ERR unknown 'a\r\n+OK'");
    expect(&out, "-ERR unknown 'a  +OK'\r\n");
    router_buffer_fini(&out);
    counting_fini(&counting);
}

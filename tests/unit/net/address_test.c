#include "net/address.h"

#include <criterion/criterion.h>

/* Only what cannot be reached from another machine may be listened on unasked. */
Test(net, address_beyond_loopback_is_refused_unless_insecure)
{
    static const char *const loopback[] = {"tcp://127.0.0.1:7401", "tcp://127.0.0.1:*",
                                           "tcp://127.8.9.1:1", "tcp://[::1]:65535"};
    static const char *const open[] = {"tcp://0.0.0.0:7401",   "tcp://*:7401",
                                       "tcp://10.0.0.1:7401",  "tcp://[::]:7401",
                                       "tcp://[fe80::1]:7401", "tcp://128.0.0.1:7401"};
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        cr_assert_null(net_address_flaw(loopback[i], false), "%s", loopback[i]);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        cr_assert_not_null(net_address_flaw(open[i], false), "%s", open[i]);
        cr_assert_null(net_address_flaw(open[i], true), "%s", open[i]);
    }
}

/* What is not an address is refused, insecure or not; names too, since they may change. */
Test(net, address_of_another_shape_is_refused)
{
    static const char *const wrong[] = {"",
                                        "127.0.0.1:7401",
                                        "ipc://torc",
                                        "tcp://",
                                        "tcp://:7401",
                                        "tcp://127.0.0.1",
                                        "tcp://127.0.0.1:",
                                        "tcp://127.0.0.1:0",
                                        "tcp://127.0.0.1:65536",
                                        "tcp://127.0.0.1:74o1",
                                        "tcp://127.0.0.1:-1",
                                        "tcp://127.evil.example:7401",
                                        "tcp://localhost:7401",
                                        "tcp://127.0.0.1.:7401",
                                        "tcp://[::1:7401",
                                        "tcp://[]:7401",
                                        "tcp://[127.0.0.1]:7401",
                                        "tcp://0000000000000000000000000000000000000000000000000000"
                                        "000000000000000000127.0.0.1:7401"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_not_null(net_address_flaw(wrong[i], false), "%s", wrong[i]);
        cr_assert_not_null(net_address_flaw(wrong[i], true), "%s", wrong[i]);
    }
}

/* One connects to hosts, also by name, and to ports; never to "any". */
Test(net, address_of_a_peer_names_host_and_port)
{
    cr_assert(net_address_is_peer("tcp://127.0.0.1:7401"));
    cr_assert(net_address_is_peer("tcp://[::1]:7401"));
    cr_assert(net_address_is_peer("tcp://node-1.example:7401"));
    cr_assert_not(net_address_is_peer("tcp://*:7401"));
    cr_assert_not(net_address_is_peer("tcp://127.0.0.1:*"));
    cr_assert_not(net_address_is_peer("tcp://127.0.0.1"));
    cr_assert_not(net_address_is_peer("tcp://a b:1"));
    cr_assert_not(net_address_is_peer("tcp://eth0;host:1"));
    cr_assert_not(net_address_is_peer("node-1:7401"));
}

#include "admin/target.h"

#include <criterion/criterion.h>
#include <string.h>

/* Ids are 32 hexadecimal digits, nothing else, and print as they were read. */
Test(target, ids_are_read_and_printed)
{
    static const char text[] = "00112233445566778899aabbccddeeff";
    struct wire_id id;
    char buffer[33];
    cr_assert(admin_id_read(text, 32, &id));
    cr_assert_eq(id.bytes[1], 0x11);
    cr_assert_eq(id.bytes[15], 0xff);
    cr_assert_str_eq(admin_id_text(id.bytes, sizeof(id.bytes), buffer), text);
    cr_assert(!admin_id_read(text, 31, &id));
    cr_assert(!admin_id_read("00112233445566778899AABBCCDDEEFF", 32, &id));
    cr_assert(!admin_id_read("0011223344556677 899aabbccddeeff", 32, &id));
}

/* --nodes takes addresses with commas between; the cluster's id is then not known. */
Test(target, nodes_are_addresses)
{
    static struct admin_target target;
    static const struct wire_id none;
    struct admin_target_options where = {"tcp://127.0.0.1:1,tcp://127.0.0.1:2", NULL};
    cr_assert_eq(admin_target_find(&where, &target), 0);
    cr_assert_eq(target.count, 2);
    cr_assert_str_eq(target.addresses[1], "tcp://127.0.0.1:2");
    cr_assert_eq(memcmp(&target.cluster, &none, sizeof(none)), 0);
    where.nodes = "127.0.0.1:1";
    cr_assert_eq(admin_target_find(&where, &target), 2);
}

/* A directory without a cluster is refused. */
Test(target, a_directory_without_a_cluster_is_refused)
{
    static struct admin_target target;
    struct admin_target_options where = {NULL, "/nowhere/at/all"};
    cr_assert_eq(admin_target_find(&where, &target), 2);
}

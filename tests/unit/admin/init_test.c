#include "admin/init.h"

#include <criterion/criterion.h>

#include "admin/report.h"

#define CLUSTER "00112233445566778899aabbccddeeff"
#define NODE_1  "1=tcp://127.0.0.1:1=11111111111111111111111111111111"

static int init_run(const char *cluster, const char *nodes, const char *more)
{
    char *argv[] = {"init",
                    "--cluster",
                    (char *)(uintptr_t)cluster,
                    "--timeout=1",
                    "--nodes",
                    (char *)(uintptr_t)nodes,
                    (char *)(uintptr_t)more};
    return admin_init_main(more == NULL ? 6 : 7, argv);
}

/* What does not describe a cluster is refused before anything is sent. */
Test(init, wrong_clusters_are_refused)
{
    cr_assert_eq(init_run("xyz", NODE_1, NULL), 2);
    cr_assert_eq(init_run(CLUSTER, "1=tcp://127.0.0.1:1", NULL), 2);
    cr_assert_eq(init_run(CLUSTER, "1=127.0.0.1:1=11111111111111111111111111111111", NULL), 2);
    cr_assert_eq(init_run(CLUSTER, NODE_1 "=x", NULL), 2);
    cr_assert_eq(init_run(CLUSTER, NODE_1, "--shards=0"), 2);
    cr_assert_eq(init_run(CLUSTER, NODE_1, "--replicas=3"), 1); /* Fewer nodes than replicas. */
    cr_assert_eq(init_run(CLUSTER, NODE_1 "," NODE_1, NULL), 1);
}

static bool always(void *context)
{
    (*(unsigned *)context)++;
    return true;
}

/* Without an answer it gives up at the deadline and names the node; a request to stop ends it
 * before. */
Test(init, no_answer_is_an_error_that_names_the_node)
{
    static struct admin_map_spec spec = {
        .node_count = 1, .shard_count = 1, .replica_count = 1, .vnode_count = 16};
    unsigned asked = 0;
    char reason[512];
    spec.nodes[0] = (struct admin_map_node){.id = 7, .address = "tcp://127.0.0.1:1"};
    cr_assert_eq(admin_init_send(&spec, admin_now_ms(), NULL, NULL, reason, sizeof(reason)), 1);
    cr_assert_str_eq(reason, "node 7 at tcp://127.0.0.1:1: does not answer");
    uint64_t deadline_ms = admin_now_ms() + 60000;
    cr_assert_eq(admin_init_send(&spec, deadline_ms, always, &asked, reason, sizeof(reason)), 1);
    cr_assert_eq(asked, 1);
}

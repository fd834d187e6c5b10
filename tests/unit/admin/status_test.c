#include "admin/status.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct admin_status status;
static Torc__Wire__StatusReply replies[3];
static Torc__Wire__ReplicaStatus replicas[3][2], *pointers[3][2];
static Torc__Wire__Ballot ballots[3][2];

/* Three nodes with groups 0 and 1, all followers of nobody. */
static void set_up(void)
{
    static char no_text[] = "";
    memset(&status, 0, sizeof(status));
    status.count = 3;
    for (uint32_t node = 0; node < 3; node++) {
        torc__wire__status_reply__init(&replies[node]);
        replies[node].node = node + 1;
        replies[node].initialised = 1;
        replies[node].n_replicas = 2;
        replies[node].replicas = pointers[node];
        for (uint32_t group = 0; group < 2; group++) {
            Torc__Wire__ReplicaStatus *replica = &replicas[node][group];
            torc__wire__replica_status__init(replica);
            torc__wire__ballot__init(&ballots[node][group]);
            replica->group = group;
            replica->replica = 3 * group + node + 1;
            replica->role = 1;
            replica->trouble = no_text;
            replica->ballot = &ballots[node][group];
            ballots[node][group].round = 1;
            pointers[node][group] = replica;
        }
        status.nodes[node].address = "tcp://127.0.0.1:7380";
        status.nodes[node].reply = &replies[node];
    }
}

static void lead(uint32_t node, uint32_t group, uint64_t round)
{
    replicas[node][group].role = 3;
    replicas[node][group].serving = 1;
    ballots[node][group].round = round;
}

/* All groups with a leader that serves: there is no flaw. */
Test(status, served_when_every_group_has_a_leader, .init = set_up)
{
    char flaw[1024];
    size_t node;
    lead(0, 0, 2);
    lead(2, 1, 2);
    cr_assert_null(admin_status_flaw(&status, 1, flaw, sizeof(flaw)));
    cr_assert_eq(admin_status_leader(&status, 1, &node), &replicas[2][1]);
    cr_assert_eq(node, 2);
    cr_assert_eq(admin_status_group_max(&status), 1);
}

/* A leader that does not serve yet, and a group that nobody reports, are not served. */
Test(status, a_leader_that_does_not_serve_is_none, .init = set_up)
{
    char flaw[1024];
    lead(0, 0, 2);
    lead(2, 1, 2);
    replicas[2][1].serving = 0;
    cr_assert_str_eq(admin_status_flaw(&status, 1, flaw, sizeof(flaw)),
                     "group 1 has no leader that serves");
    replicas[2][1].serving = 1;
    cr_assert_str_eq(admin_status_flaw(&status, 2, flaw, sizeof(flaw)),
                     "group 2 has no leader that serves");
}

/* Of two that call themselves leader the one with the higher ballot is. */
Test(status, a_deposed_leader_does_not_count, .init = set_up)
{
    size_t node;
    lead(0, 1, 2);
    lead(1, 1, 5);
    lead(2, 1, 3);
    cr_assert_eq(admin_status_leader(&status, 1, &node), &replicas[1][1]);
    cr_assert_eq(node, 1);
}

/* The flaw names what the nodes say of themselves. */
Test(status, a_flaw_names_the_troubles, .init = set_up)
{
    static char trouble[] = "needs rebuild";
    char flaw[1024];
    lead(0, 0, 2);
    status.nodes[1].reply = NULL;
    status.nodes[1].reason = "does not answer";
    replies[0].initialised = 0;
    replicas[2][1].trouble = trouble;
    cr_assert_str_eq(
        admin_status_flaw(&status, 1, flaw, sizeof(flaw)),
        "group 1 has no leader that serves; the node at tcp://127.0.0.1:7380 has no map "
        "yet; the node at tcp://127.0.0.1:7380 does not answer; node 3, group 1: needs "
        "rebuild");
    char small[20];
    admin_status_flaw(&status, 1, small, sizeof(small));
    cr_assert_eq(strlen(small), sizeof(small) - 1);
}

/* Programs find groups with their leaders and replicas, and nodes that do not answer. */
Test(status, json_has_nodes_and_groups, .init = set_up)
{
    char *text;
    size_t size;
    lead(2, 1, 2);
    status.nodes[0].reply = NULL;
    status.nodes[0].reason = "does not answer";
    FILE *out = open_memstream(&text, &size);
    admin_status_print_json(&status, out);
    fclose(out);
    json_t *json = json_loads(text, 0, NULL), *groups = json_object_get(json, "groups");
    cr_assert_eq(json_array_size(json_object_get(json, "nodes")), 3);
    cr_assert(json_is_null(json_object_get(json, "cluster")));
    cr_assert(json_is_false(
        json_object_get(json_array_get(json_object_get(json, "nodes"), 0), "answers")));
    cr_assert_eq(json_array_size(groups), 2);
    cr_assert(json_is_null(json_object_get(json_array_get(groups, 0), "leader")));
    cr_assert_eq(json_integer_value(json_object_get(json_array_get(groups, 1), "leader")), 3);
    cr_assert_eq(json_array_size(json_object_get(json_array_get(groups, 1), "replicas")), 2);
    json_decref(json);
    free(text);
}

/* People see how far a replica is behind the leader, and its trouble. */
Test(status, text_shows_lag_and_trouble, .init = set_up)
{
    static char trouble[] = "fell behind";
    char *text;
    size_t size;
    lead(0, 1, 2);
    replicas[0][1].chosen = replicas[0][1].applied = 107;
    replicas[1][1].chosen = replicas[1][1].applied = 65;
    replicas[1][1].trouble = trouble;
    FILE *out = open_memstream(&text, &size);
    admin_status_print(&status, out);
    fclose(out);
    cr_assert_not_null(strstr(text, "65        42  fell behind"), "%s", text);
    cr_assert_not_null(strstr(text, "0  no leader serves it"), "%s", text);
    free(text);
}

/* The cluster's id stands first, for people and for programs. */
Test(status, the_cluster_is_named, .init = set_up)
{
    char *text;
    size_t size;
    for (size_t i = 0; i < WIRE_ID_SIZE; i++)
        status.cluster.bytes[i] = (uint8_t)(i * 17);
    FILE *out = open_memstream(&text, &size);
    admin_status_print(&status, out);
    fclose(out);
    static const char first[] = "cluster 00112233445566778899aabbccddeeff\n\n node  address";
    cr_assert_eq(strncmp(text, first, strlen(first)), 0, "%s", text);
    free(text);
    out = open_memstream(&text, &size);
    admin_status_print_json(&status, out);
    fclose(out);
    json_t *json = json_loads(text, 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(json, "cluster")),
                     "00112233445566778899aabbccddeeff");
    json_decref(json);
    free(text);
}

/* Which cluster it is the first node says that answers, unless it was known. */
Test(status, nodes_are_of_one_cluster)
{
    struct wire_id cluster = {{0}}, one = {{1}}, two = {{2}};
    cr_assert(admin_status_belongs(&cluster, &one));
    cr_assert_eq(memcmp(&cluster, &one, sizeof(one)), 0);
    cr_assert(admin_status_belongs(&cluster, &one));
    cr_assert_not(admin_status_belongs(&cluster, &two));
    cr_assert_eq(memcmp(&cluster, &one, sizeof(one)), 0);
}

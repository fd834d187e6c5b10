#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/router/talk.h"

/* tests/golden/router/clients.txt has the stories with keys; compare.txt the errors. */

static struct talk talk;

/* A line says who the client is and what it does; the ids that are asked for come in their order,
 * as often as they are asked for. */
Test(client_command, list_describes_clients)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "CLIENT SETNAME me", "+OK\r\n");
    size_t other = talk_open(&talk);
    talk_wait(&talk, 3500000);
    talk_expect(&talk, other, "PING", "+PONG\r\n");
    const char *line = talk_ask(&talk, 0, "CLIENT LIST ID 2 9 1 2");
    const char *first = strchr(line, '\n') + 1, *second = strchr(first, '\n') + 1;
    const char *third = strchr(second, '\n') + 1;
    cr_assert_eq(strncmp(first, "id=2 addr=10.0.0.2:1024 laddr=127.0.0.1:7379 fd=", 48), 0);
    cr_assert_not_null(strstr(first, " name= age=3 idle=0 flags=N db=0 "));
    cr_assert_not_null(strstr(first, " cmd=ping user=default redir=-1 resp=2\n"));
    cr_assert_eq(strncmp(second, "id=1 addr=10.0.0.1:1024 ", 24), 0);
    cr_assert_not_null(strstr(second, " name=me age=3 idle=0 "));
    cr_assert_not_null(strstr(second, " cmd=client|list "));
    cr_assert_eq(strncmp(third, "id=2 ", 5), 0);
    line = talk_ask(&talk, 0, "CLIENT INFO");
    cr_assert_not_null(strstr(line, "\r\nid=1 "));
    cr_assert_not_null(strstr(line, " cmd=client|info "));
    line = talk_ask(&talk, 0, "CLIENT LIST TYPE normal");
    cr_assert_lt(strstr(line, "id=1 "), strstr(line, "id=2 "));
    talk_expect(&talk, 0, "CLIENT LIST TYPE pubsub", "$0\r\n\r\n");
    talk_expect(&talk, 0, "CLIENT LIST ID 2 x", "-ERR Invalid client ID\r\n");
    talk_end(&talk);
}

/* A client that may not be evicted, and one that waits in a pause, are seen to be so. */
Test(client_command, list_shows_flags)
{
    talk_begin(&talk);
    size_t other = talk_open(&talk);
    talk_expect(&talk, 0, "CLIENT NO-EVICT on", "+OK\r\n");
    talk_expect(&talk, 0, "CLIENT PAUSE 1000 WRITE", "+OK\r\n");
    talk_expect(&talk, other, "SWAPDB 0 0", "");
    const char *line = talk_ask(&talk, 0, "CLIENT LIST");
    cr_assert_not_null(strstr(line, " flags=e "));
    cr_assert_not_null(strstr(line, " flags=b "));
    cr_assert_not_null(strstr(line, " events= cmd=NULL "));
    talk_expect(&talk, 0, "CLIENT NO-EVICT off", "+OK\r\n");
    cr_assert_not_null(strstr(talk_ask(&talk, 0, "CLIENT INFO"), " flags=N "));
    talk_end(&talk);
}

/* A client that leaves, and waits for the answer to an earlier command, is seen to be leaving. */
Test(client_command, list_shows_who_is_leaving)
{
    talk_begin(&talk);
    size_t other = talk_open(&talk);
    talk_expect(&talk, other, "GET a\r\nQUIT", "");
    cr_assert_not_null(strstr(talk_ask(&talk, 0, "CLIENT LIST ID 2"), " flags=c "));
    router_connection_closed(talk.router, talk.clients[other].connection);
    cr_assert_null(strstr(talk_ask(&talk, 0, "CLIENT LIST"), "id=2 "));
    talk_expect(&talk, 0, "CLIENT KILL ID 2", ":0\r\n");
    talk_end(&talk);
}

/* A name has a bound, and so has a list of names whose reply grows with each of them. */
Test(client_command, names_are_bounded)
{
    enum { NAME_MAX_SIZE = 64 * 1024 };
    static char line[16 * 1024], name[NAME_MAX_SIZE + 2];
    talk_begin(&talk);
    memset(name, 'n', NAME_MAX_SIZE);
    for (size_t i = 0; i < 2; i++) {
        talk_send(&talk, 0, "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n");
        talk_send(&talk, 0, i == 0 ? "$65536\r\n" : "$65537\r\n");
        talk_send(&talk, 0, name);
        talk_expect(&talk, 0, i == 0 ? "" : "n",
                    i == 0 ? "+OK\r\n"
                           : "-ERR Client names cannot be longer than 65536 bytes.\r\n");
    }
    size_t size = (size_t)snprintf(line, sizeof(line), "COMMAND DOCS");
    for (size_t i = 0; i < 4096; i++, size += 2)
        memcpy(line + size, " x", 3);
    talk_expect(&talk, 0, line, "*0\r\n");
    memcpy(line + size, " x", 3);
    talk_expect(&talk, 0, line, "-ERR too many names: 4096 at most\r\n");
    talk_end(&talk);
}

/* A list that no client could take is not written to its end. */
Test(client_command, list_is_bounded)
{
    char line[1024];
    size_t size = (size_t)snprintf(line, sizeof(line), "CLIENT LIST ID");
    for (size_t i = 0; i < 120; i++, size += 2)
        memcpy(line + size, " 1", 3);
    talk_begin(&talk);
    talk_expect(&talk, 0, line, "");
    cr_assert_not(talk.clients[0].open);
    cr_assert_lt(talk.counting.bytes_peak, 200 * 1024);
    talk_end(&talk);
}

/* All that is said must fit; a client does not kill itself unless it says so, and then it gets its
 * reply. */
Test(client_command, kill_takes_who_is_meant)
{
    talk_begin(&talk);
    size_t second = talk_open(&talk), third = talk_open(&talk);
    talk_expect(&talk, 0, "CLIENT KILL ID 2 ADDR 10.0.0.3:1024", ":0\r\n");
    talk_expect(&talk, 0, "CLIENT KILL ADDR 10.0.0.3:1024 LADDR 127.0.0.1:7379 USER default",
                ":1\r\n");
    cr_assert_not(talk.clients[third].open);
    cr_assert(talk.clients[second].open);
    talk_expect(&talk, 0, "CLIENT KILL TYPE replica", ":0\r\n");
    talk_expect(&talk, 0, "CLIENT KILL ID 1", ":0\r\n");
    talk_expect(&talk, 0, "CLIENT KILL TYPE normal", ":1\r\n");
    cr_assert_not(talk.clients[second].open);
    talk_expect(&talk, 0, "CLIENT KILL 10.0.0.1:1024", "+OK\r\n");
    cr_assert_not(talk.clients[0].open);
    talk_end(&talk);
}

/* What was sent behind a kill of oneself is not carried out. */
Test(client_command, kill_of_itself_is_the_last)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "CLIENT KILL ID 1 SKIPME no\r\nPING", ":1\r\n");
    cr_assert_not(talk.clients[0].open);
    talk_end(&talk);
}

/* The end of a pause is asked for from the driver, and comes by itself. */
Test(client_command, pause_ends_in_time)
{
    struct router_ready ready;
    talk_begin(&talk);
    talk_expect(&talk, 0, "CLIENT PAUSE 20", "+OK\r\n");
    router_ready(talk.router, &ready);
    cr_assert_eq(ready.wake_at_us, talk.now_us + 20000);
    talk_expect(&talk, 0, "PING", "");
    talk_wait(&talk, 19999);
    cr_assert_str_eq(talk.clients[0].reply, "");
    talk_wait(&talk, 1);
    cr_assert_str_eq(talk.clients[0].reply, "+PONG\r\n");
    talk_end(&talk);
}

/* The stronger of two pauses and the later end of two hold; a pause of nothing is over at once. */
Test(client_command, pauses_add_up)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "CLIENT PAUSE 0", "+OK\r\n");
    talk_expect(&talk, 0, "PING", "+PONG\r\n");
    talk_expect(&talk, 0, "CLIENT PAUSE 1000 WRITE", "+OK\r\n");
    talk_expect(&talk, 0, "CLIENT PAUSE 10 ALL", "+OK\r\n");
    size_t other = talk_open(&talk);
    talk_expect(&talk, 0, "PING", "");
    talk_wait(&talk, 999999);
    cr_assert_str_eq(talk.clients[0].reply, "");
    talk_expect(&talk, other, "CLIENT UNPAUSE", "+OK\r\n");
    cr_assert_str_eq(talk.clients[0].reply, "+PONG\r\n");
    talk_expect(&talk, 0, "CLIENT PAUSE 9223372036854775807", "+OK\r\n");
    talk_expect(&talk, 0, "PING", "");
    talk_wait(&talk, (uint64_t)1 << 50);
    cr_assert_str_eq(talk.clients[0].reply, "");
    talk_end(&talk);
}

/* Nothing comes for what is not to be answered, and it costs no memory that stays. */
Test(client_command, reply_is_kept_back)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "CLIENT REPLY SKIP\r\nPING\r\nECHO a", "$1\r\na\r\n");
    talk_expect(&talk, 0, "CLIENT REPLY SKIP\r\nCLIENT REPLY x\r\nECHO a", "$1\r\na\r\n");
    talk_expect(&talk, 0, "CLIENT REPLY OFF\r\nPING\r\nFOO\r\nCLIENT REPLY SKIP", "");
    size_t bytes = talk.counting.bytes;
    for (size_t i = 0; i < 100; i++)
        talk_expect(&talk, 0, "CLIENT HELP\r\nPING", "");
    cr_assert_leq(talk.counting.bytes, bytes + 8 * 1024);
    talk_expect(&talk, 0, "CLIENT REPLY ON", "+OK\r\n");
    talk_expect(&talk, 0, "CLIENT REPLY OFF\r\nRESET", "+RESET\r\n");
    talk_expect(&talk, 0, "CLIENT REPLY OFF\r\nQUIT", "");
    cr_assert_not(talk.clients[0].open);
    talk_end(&talk);
}

/* What a router has no part in is answered as by a Redis in which it is off. */
Test(client_command, tracking_is_off)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "CLIENT TRACKING ON",
                "-ERR CLIENT TRACKING is not supported: a router is not told of changes\r\n");
    talk_expect(&talk, 0, "HELLO 3", talk_ask(&talk, 0, "HELLO 3"));
    talk_expect(&talk, 0, "CLIENT TRACKINGINFO",
                "%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\n"
                "prefixes\r\n*0\r\n");
    talk_expect(&talk, 0, "CLIENT UNBLOCK 1 ERROR", ":0\r\n");
    talk_end(&talk);
}

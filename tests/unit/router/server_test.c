#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/router/talk.h"

/* compare.txt has most of it; here is what redis-server answers differently. */

static struct talk talk;

/* The words of HELLO take effect one by one, also when a later one is wrong, as in Redis. */
Test(server, hello_takes_word_by_word)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "HELLO 3 SETNAME a FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n");
    talk_expect(&talk, 0, "CLIENT GETNAME", "$1\r\na\r\n");
    talk_expect(&talk, 0, "HELLO 3 SETNAME b AUTH x y",
                "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    talk_expect(&talk, 0, "CLIENT GETNAME", "$1\r\nb\r\n");
    talk_end(&talk);
}

/* What a router does not do is refused, and says why. */
Test(server, refuses_what_it_cannot_do)
{
    static const char *const lines[] = {"SAVE",        "BGSAVE",  "BGSAVE SCHEDULE", "BGREWRITEAOF",
                                        "SHUTDOWN",    "MONITOR", "REPLICAOF a 1",   "SLAVEOF a 1",
                                        "DEBUG SLEEP", "SYNC",    "SHUTDOWN NOSAVE", "CLUSTER FOO"};
    talk_begin(&talk);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const char *reply = talk_ask(&talk, 0, lines[i]);
        cr_assert_eq(strncmp(reply, "-ERR ", 5), 0, "%s: %s", lines[i], reply);
        cr_assert_null(strstr(reply, "unknown"), "%s: %s", lines[i], reply);
    }
    cr_assert_not_null(strstr(talk_ask(&talk, 0, "INFO stats"), "total_error_replies:12\r\n"));
    talk_end(&talk);
}

/* Without a map nothing is known of replicas; the arguments are checked all the same. */
Test(server, wait_answers_at_once)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "WAIT 3 0", ":0\r\n");
    talk_expect(&talk, 0, "WAIT 3 -1", "-ERR timeout is negative\r\n");
    talk_end(&talk);
}

/* A reply that waits for its turn counts as output that the client has not taken: what is more than
 * it may leave unread closes it, also while an earlier command has no answer. */
Test(server, replies_that_wait_are_bounded)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "GET a\r\nPING", "");
    cr_assert(talk.clients[0].open);
    talk_expect(&talk, 0, "COMMAND DOCS", "");
    cr_assert_not(talk.clients[0].open);
    size_t muted = talk_open(&talk);
    talk_expect(&talk, muted, "GET a\r\nCLIENT REPLY SKIP\r\nCOMMAND DOCS", "");
    cr_assert(talk.clients[muted].open);
    talk_end(&talk);
}

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/router/talk.h"

static struct talk talk;

/* What changes is seen by CONFIG GET and by SLOWLOG; a setting that is wrong changes none. */
Test(info_command, config_set_is_all_or_nothing)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2", "+OK\r\n");
    talk_expect(&talk, 0, "PING\r\nPING\r\nPING", "+PONG\r\n+PONG\r\n+PONG\r\n");
    talk_expect(&talk, 0, "SLOWLOG LEN", ":2\r\n");
    talk_expect(&talk, 0, "CONFIG SET slowlog-log-slower-than -1 slowlog-max-len 65537",
                "-ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - "
                "argument must be between 0 and 65536 inclusive\r\n");
    talk_expect(&talk, 0, "CONFIG SET slowlog-max-len 9 id x",
                "-ERR CONFIG SET failed (possibly related to argument 'id') - can't set immutable "
                "config\r\n");
    talk_expect(&talk, 0, "CONFIG GET slowlog*",
                "*4\r\n$23\r\nslowlog-log-slower-than\r\n$1\r\n0\r\n$15\r\nslowlog-max-len\r\n"
                "$1\r\n2\r\n");
    talk_expect(&talk, 0, "CONFIG SET slowlog-log-slower-than -1", "+OK\r\n");
    talk_expect(&talk, 0, "SLOWLOG RESET", "+OK\r\n");
    talk_expect(&talk, 0, "SLOWLOG LEN", ":0\r\n");
    talk_end(&talk);
}

/* The parameters that tools ask for may be set to what they are. */
Test(info_command, config_set_knows_what_is_so)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "CONFIG SET save \"\" appendonly YES", "+OK\r\n");
    talk_expect(&talk, 0, "CONFIG SET appendonly no",
                "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - every write "
                "is on disk before its answer\r\n");
    talk_expect(&talk, 0, "CONFIG SET save \"1 1\"",
                "-ERR CONFIG SET failed (possibly related to argument 'save') - every write is on "
                "disk before its answer\r\n");
    talk_end(&talk);
}

/* RESETSTAT begins all counts anew, LATENCY's too; itself is the first one counted. */
Test(info_command, resetstat_forgets)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "FOO x", talk_ask(&talk, 0, "FOO x"));
    talk_expect(&talk, 0, "PING", "+PONG\r\n");
    talk_expect(&talk, 0, "CONFIG RESETSTAT", "+OK\r\n");
    const char *text = talk_ask(&talk, 0, "INFO stats");
    cr_assert_not_null(strstr(text, "total_commands_processed:1\r\n"), "%s", text);
    cr_assert_not_null(strstr(text, "total_error_replies:0\r\n"));
    talk_expect(&talk, 0, "LATENCY HISTOGRAM ping", "*0\r\n");
    talk_end(&talk);
}

/* Sections that tools look at for what a server is. */
Test(info_command, info_has_the_sections_asked_for)
{
    talk_begin(&talk);
    talk_expect(&talk, 0, "INFO cluster", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
    talk_expect(&talk, 0, "INFO nosuch", "$0\r\n\r\n");
    const char *text = talk_ask(&talk, 0, "INFO REPLICATION memory");
    cr_assert_not_null(strstr(text, "# Memory\r\nused_memory:"));
    cr_assert_not_null(strstr(text, "\r\n\r\n# Replication\r\nrole:master\r\n"));
    cr_assert_null(strstr(text, "# Server"));
    text = talk_ask(&talk, 0, "INFO");
    cr_assert_not_null(strstr(text, "# Server"));
    cr_assert_not_null(strstr(text, "# Torc"));
    talk_end(&talk);
}

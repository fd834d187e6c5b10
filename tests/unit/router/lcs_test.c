#include "router/lcs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 16 };

static void expect(const char *line, const char *a, const char *b, unsigned protocol,
                   const char *reply)
{
    char text[128];
    struct base_bytes args[WORDS_MAX];
    size_t count = 0;
    snprintf(text, sizeof(text), "%s", line);
    char *rest = text;
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;)
        args[count++] = base_bytes_text(word);
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    if (!router_lcs_check(args, count, &out))
        router_buffer_text(&out, " (words)");
    else
        router_lcs_reply(args, count, base_bytes_text(a), base_bytes_text(b), protocol, &out);
    router_buffer_append(&out, base_bytes_of("", 1));
    cr_assert_str_eq((const char *)out.data, reply, "%s", line);
    router_buffer_fini(&out);
}

/* Of several that are equally long, the one that Redis finds; ranges from the end to the front. */
Test(router_lcs, replies)
{
    expect("LCS a b", "ohmytext", "mynewtext", 2, "$6\r\nmytext\r\n");
    expect("LCS a b LEN", "ohmytext", "mynewtext", 2, ":6\r\n");
    expect("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", "ohmytext", "mynewtext", 2,
           "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
           "$3\r\nlen\r\n:6\r\n");
    expect("LCS a b IDX MINMATCHLEN 9", "ohmytext", "mynewtext", 3,
           "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:6\r\n");
    expect("LCS a b", "", "abc", 2, "$0\r\n\r\n");
    expect("LCS a b LEN", "abc", "", 2, ":0\r\n");
    expect("LCS a b", "ab", "ba", 2, "$1\r\nb\r\n");
}

Test(router_lcs, refuses)
{
    expect("LCS a b IDX LEN", "", "", 2,
           "ERR If you want both the length and indexes, please just use IDX. (words)");
    expect("LCS a b MINMATCHLEN", "", "", 2, "ERR syntax error (words)");
    expect("LCS a b MINMATCHLEN x", "", "", 2,
           "ERR value is not an integer or out of range (words)");
    expect("LCS a b FOO", "", "", 2, "ERR syntax error (words)");
}

/* At the bound it is done, past it not begun. */
Test(router_lcs, bounded)
{
    char *a = malloc(1025);
    memset(a, 'x', 1024);
    a[1024] = '\0';
    expect("LCS a b LEN", a, a, 2, ":1024\r\n");
    char *b = malloc(1026);
    memset(b, 'x', 1025);
    b[1025] = '\0';
    expect(
        "LCS a b LEN", a, b, 2,
        "-ERR LCS of 1024 and 1025 bytes is too much work: their product's limit is 1048576\r\n");
    free(a);
    free(b);
}

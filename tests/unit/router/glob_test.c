#include "router/glob.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"

/* Redis's patterns, one case for each of their parts. */
Test(router_glob, matches_as_redis_does)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"*b*", "abc", true},
        {"a*d", "abc", false},
        {"h?llo", "hello", true},
        {"h?llo", "hllo", false},
        {"h[ae]llo", "hallo", true},
        {"h[ae]llo", "hillo", false},
        {"h[^e]llo", "hallo", true},
        {"h[^e]llo", "hello", false},
        {"h[a-c]llo", "hbllo", true},
        {"h[c-a]llo", "hbllo", true},
        {"h[a-c]llo", "hdllo", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a\\", "a\\", true},
        {"[\\]]", "]", true},
        {"[abc", "b", true},
        {"[]", "a", false},
        {"a**b", "ab", true},
        {"**", "", true},
        {"abc", "ABC", false},
        {"*a*b*c*", "xxaxxbxxcxx", true},
        {"*a*b*c*", "xxaxxcxxbxx", false},
        {"[^a]", "", false},
        {"?", "", false},
        {"a[b-]c", "a-c", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(
            router_glob_match(base_bytes_text(cases[i].pattern), base_bytes_text(cases[i].text)),
            cases[i].match, "%s %s", cases[i].pattern, cases[i].text);
}

/* Without regard to case, in ranges too. */
Test(router_glob, nocase_folds_letters)
{
    cr_assert(router_glob_match_nocase(base_bytes_text("MaX*"), base_bytes_text("maxmemory")));
    cr_assert(router_glob_match_nocase(base_bytes_text("[A-C]"), base_bytes_text("b")));
    cr_assert_not(router_glob_match_nocase(base_bytes_text("x"), base_bytes_text("y")));
}

/* The dumb way: try every split at each star. */
static bool dumb(const char *pattern, size_t pattern_size, const char *text, size_t text_size)
{
    if (pattern_size == 0)
        return text_size == 0;
    if (*pattern == '*') {
        for (size_t skip = 0; skip <= text_size; skip++) {
            if (dumb(pattern + 1, pattern_size - 1, text + skip, text_size - skip))
                return true;
        }
        return false;
    }
    return text_size > 0 && (*pattern == '?' || *pattern == *text) &&
           dumb(pattern + 1, pattern_size - 1, text + 1, text_size - 1);
}

/* Patterns of stars, marks and letters give the same answer as the dumb way. */
Test(router_glob, agrees_with_the_dumb_way)
{
    struct base_prng prng = base_prng_seeded(1);
    for (unsigned i = 0; i < 100000; i++) {
        char pattern[6], text[8];
        size_t pattern_size = base_prng_range(&prng, 0, 6),
               text_size = base_prng_range(&prng, 0, 8);
        for (size_t j = 0; j < pattern_size; j++)
            pattern[j] = "ab*?"[base_prng_range(&prng, 0, 3)];
        for (size_t j = 0; j < text_size; j++)
            text[j] = "ab"[base_prng_range(&prng, 0, 1)];
        cr_assert_eq(
            router_glob_match(base_bytes_of(pattern, pattern_size), base_bytes_of(text, text_size)),
            dumb(pattern, pattern_size, text, text_size), "%.*s %.*s", (int)pattern_size, pattern,
            (int)text_size, text);
    }
}

/* A pattern made to explode takes work in proportion to the sizes' product. */
Test(router_glob, many_stars_do_not_explode, .timeout = 5)
{
    char pattern[201], text[5000];
    for (size_t i = 0; i < 200; i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[200] = 'b';
    memset(text, 'a', sizeof(text));
    cr_assert_not(router_glob_match(base_bytes_of(pattern, sizeof(pattern)),
                                    base_bytes_of(text, sizeof(text))));
}

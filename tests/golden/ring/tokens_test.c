/* Every line of tokens.txt, BITS TOKEN KEY, against ring_token. The key goes to the end of the
 * line; \xHH in it is one byte. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring/token.h"

static struct base_bytes unescape(char *key)
{
    size_t size = 0;
    for (char *at = key; *at != '\0' && *at != '\n'; size++) {
        if (at[0] == '\\' && at[1] == 'x') {
            char digits[3] = {at[2], at[3], '\0'};
            key[size] = (char)strtoul(digits, NULL, 16);
            at += 4;
        } else {
            key[size] = *at++;
        }
    }
    return base_bytes_of(key, size);
}

/* The token of a key never changes between releases: stored keys and cursors depend on it. */
Test(ring_golden, tokens_are_those_of_the_first_release)
{
    FILE *file = fopen("tests/golden/ring/tokens.txt", "r");
    cr_assert_not_null(file);
    char line[16384];
    int count = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned bits = 0;
        uint64_t token = 0;
        int key_at = 0;
        if (line[0] == '#')
            continue;
        cr_assert_eq(sscanf(line, "%u %" SCNx64 " %n", &bits, &token, &key_at), 2);
        struct base_bytes key = unescape(line + key_at);
        cr_assert_eq(ring_token(key, bits), token, "line %s", line);
        count++;
    }
    fclose(file);
    cr_assert_geq(count, 60);
}

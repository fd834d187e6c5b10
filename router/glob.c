#include "router/glob.h"

#include <stddef.h>
#include <stdint.h>

static uint8_t fold(uint8_t byte, bool nocase)
{
    return nocase && byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

/*
 * Whether the class whose '[' stands at pattern[at] has the byte. *ret_end is where the pattern
 * goes on; an unclosed class ends with the pattern, as in Redis.
 */
static bool match_class(struct base_bytes pattern, size_t at, uint8_t byte, bool nocase,
                        size_t *ret_end)
{
    size_t i = at + 1;
    bool negated = i < pattern.size && pattern.data[i] == '^';
    bool matched = false;
    if (negated)
        i++;
    byte = fold(byte, nocase);
    while (i < pattern.size && pattern.data[i] != ']') {
        if (pattern.data[i] == '\\' && i + 1 < pattern.size) {
            matched |= pattern.data[i + 1] == byte;
            i += 2;
        } else if (i + 2 < pattern.size && pattern.data[i + 1] == '-') {
            uint8_t low = fold(pattern.data[i], nocase), high = fold(pattern.data[i + 2], nocase);
            if (low > high) {
                uint8_t swap = low;
                low = high;
                high = swap;
            }
            matched |= byte >= low && byte <= high;
            i += 3;
        } else {
            matched |= fold(pattern.data[i], nocase) == byte;
            i++;
        }
    }
    *ret_end = i < pattern.size ? i + 1 : i;
    return matched != negated;
}

/* Whether one byte fits the pattern's element at `at`, which is no star. */
static bool match_one(struct base_bytes pattern, size_t at, uint8_t byte, bool nocase,
                      size_t *ret_end)
{
    uint8_t element = pattern.data[at];
    *ret_end = at + 1;
    if (element == '?')
        return true;
    if (element == '[')
        return match_class(pattern, at, byte, nocase, ret_end);
    if (element == '\\' && at + 1 < pattern.size) {
        element = pattern.data[at + 1];
        *ret_end = at + 2;
    }
    return fold(element, nocase) == fold(byte, nocase);
}

static bool match(struct base_bytes pattern, struct base_bytes text, bool nocase)
{
    size_t p = 0, t = 0;
    size_t star_p = SIZE_MAX, star_t = 0; /* The newest star, and how far it reaches. */
    for (;;) {
        size_t next;
        if (p < pattern.size && pattern.data[p] == '*') {
            star_p = ++p;
            star_t = t;
        } else if (t < text.size && p < pattern.size &&
                   match_one(pattern, p, text.data[t], nocase, &next)) {
            p = next;
            t++;
        } else if (t == text.size && p == pattern.size) {
            return true;
        } else if (star_p != SIZE_MAX && star_t < text.size) {
            p = star_p;
            t = ++star_t;
        } else {
            return false;
        }
    }
}

bool router_glob_match(struct base_bytes pattern, struct base_bytes text)
{
    return match(pattern, text, false);
}

bool router_glob_match_nocase(struct base_bytes pattern, struct base_bytes text)
{
    return match(pattern, text, true);
}

#include "base/decimal.h"

#include "base/assert.h"

enum {
    LIMB_DIGITS = 9,
    LIMB_BASE = 1000000000,
    FRACTION_DIGITS = 36, /* Kept. */
    SHOWN_DIGITS = 17,    /* Written. */
    EXPONENT_MAX = 1000000,
};

_Static_assert(FRACTION_DIGITS % LIMB_DIGITS == 0, "the point lies between limbs");

static const uint32_t powers[LIMB_DIGITS] = {1,      10,      100,      1000,     10000,
                                             100000, 1000000, 10000000, 100000000};

/* ---- Reading
 * ------------------------------------------------------------------------------------- */

static bool is_digit(struct base_bytes text, size_t at)
{
    return at < text.size && text.data[at] >= '0' && text.data[at] <= '9';
}

/* The exponent at `at`, which goes to the end; no exponent is 0. */
static bool exponent_read(struct base_bytes text, size_t at, int64_t *ret_exponent)
{
    int64_t exponent = 0;
    bool negative = false;
    if (at < text.size) {
        if ((text.data[at] | 0x20) != 'e')
            return false;
        at++;
        negative = at < text.size && text.data[at] == '-';
        at += at < text.size && (text.data[at] == '-' || text.data[at] == '+');
        if (!is_digit(text, at))
            return false;
    }
    for (; is_digit(text, at); at++) {
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (text.data[at] - '0');
    }
    *ret_exponent = negative ? -exponent : exponent;
    return at == text.size;
}

/* Puts a digit at its power of ten; false: too large. */
static bool digit_put(struct base_decimal *decimal, int64_t power, uint32_t digit)
{
    int64_t place = power + FRACTION_DIGITS;
    if (digit == 0 || place < 0)
        return true;
    if (place >= (int64_t)BASE_DECIMAL_LIMBS * LIMB_DIGITS)
        return false;
    size_t limb = (size_t)place / LIMB_DIGITS;
    while (decimal->count <= limb)
        decimal->limbs[decimal->count++] = 0;
    decimal->limbs[limb] += digit * powers[place % LIMB_DIGITS];
    return true;
}

bool base_decimal_read(struct base_bytes text, struct base_decimal *ret_decimal)
{
    if (text.size == 0 || text.size > BASE_DECIMAL_READ_MAX)
        return false;
    ret_decimal->count = 0;
    ret_decimal->negative = text.data[0] == '-';
    size_t start = text.data[0] == '-' || text.data[0] == '+', point = start;
    while (is_digit(text, point))
        point++;
    size_t end = point;
    if (end < text.size && text.data[end] == '.')
        end++;
    while (is_digit(text, end))
        end++;
    int64_t exponent;
    bool empty = point == start && end <= point + 1;
    if (empty || !exponent_read(text, end, &exponent))
        return false;
    int64_t power = exponent + (int64_t)(point - start) - 1;
    for (size_t at = start; at < end; at++) {
        if (at == point)
            continue;
        if (!digit_put(ret_decimal, power--, (uint32_t)(text.data[at] - '0')))
            return false;
    }
    return true;
}

/* ---- Adding
 * -------------------------------------------------------------------------------------- */

static uint32_t limb_at(const struct base_decimal *decimal, size_t i)
{
    return i < decimal->count ? decimal->limbs[i] : 0;
}

static bool is_less(const struct base_decimal *a, const struct base_decimal *b)
{
    for (size_t i = a->count > b->count ? a->count : b->count; i-- > 0;) {
        if (limb_at(a, i) != limb_at(b, i))
            return limb_at(a, i) < limb_at(b, i);
    }
    return false;
}

bool base_decimal_add(const struct base_decimal *a, const struct base_decimal *b,
                      struct base_decimal *ret_sum)
{
    bool same = a->negative == b->negative;
    const struct base_decimal *large = is_less(a, b) ? b : a, *small = large == a ? b : a;
    int64_t carry = 0;
    TORC_ASSERT(ret_sum != a && ret_sum != b);
    ret_sum->negative = large->negative;
    ret_sum->count = 0;
    size_t count = large->count > small->count ? large->count : small->count;
    for (size_t i = 0; i < count || carry != 0; i++) {
        if (i == BASE_DECIMAL_LIMBS)
            return false;
        int64_t limb = limb_at(small, i);
        int64_t sum = (int64_t)limb_at(large, i) + (same ? limb : -limb) + carry;
        carry = sum < 0 ? -1 : sum >= LIMB_BASE;
        ret_sum->limbs[i] = (uint32_t)(sum - carry * LIMB_BASE);
        ret_sum->count = i + 1;
    }
    return true;
}

/* ---- Writing
 * ------------------------------------------------------------------------------------- */

/* The digit at a place counted from the lowest that is kept. */
static uint8_t digit_at(const struct base_decimal *decimal, size_t place)
{
    return (uint8_t)(limb_at(decimal, place / LIMB_DIGITS) / powers[place % LIMB_DIGITS] % 10);
}

/* Where the highest digit that is not 0 lies, and at least just before the point. */
static size_t highest(const struct base_decimal *decimal)
{
    size_t place = decimal->count * LIMB_DIGITS;
    while (place > FRACTION_DIGITS && digit_at(decimal, place) == 0)
        place--;
    return place < FRACTION_DIGITS ? FRACTION_DIGITS : place;
}

size_t base_decimal_write(const struct base_decimal *decimal, uint8_t at[BASE_DECIMAL_TEXT_MAX])
{
    enum { LOWEST = FRACTION_DIGITS - SHOWN_DIGITS };
    struct base_decimal half = {.negative = decimal->negative}, rounded;
    (void)digit_put(&half, -SHOWN_DIGITS - 1, 5);
    if (!base_decimal_add(decimal, &half, &rounded))
        return 0;
    size_t lowest = LOWEST, top = highest(&rounded), size = 0;
    while (lowest < FRACTION_DIGITS && digit_at(&rounded, lowest) == 0)
        lowest++;
    bool zero = lowest == FRACTION_DIGITS && top == FRACTION_DIGITS && digit_at(&rounded, top) == 0;
    if (decimal->negative && !zero)
        at[size++] = '-';
    for (size_t place = top + 1; place-- > lowest;) {
        if (place == FRACTION_DIGITS - 1)
            at[size++] = '.';
        at[size++] = (uint8_t)('0' + digit_at(&rounded, place));
    }
    TORC_ASSERT(size <= BASE_DECIMAL_TEXT_MAX);
    return size;
}

/*
 * base/decimal -- exact decimal fractions, to be added. No floating point: every machine comes to
 * the same digits. Kept are 4932 digits before the point (as far as Redis's numbers reach) and 36
 * behind it; what lies further behind is cut off.
 */
#ifndef TORC_BASE_DECIMAL_H
#define TORC_BASE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    BASE_DECIMAL_LIMBS = 552,     /* Of nine digits each. */
    BASE_DECIMAL_READ_MAX = 5119, /* Bytes of a text that is read. */
    BASE_DECIMAL_TEXT_MAX = 4951, /* Sign, 4932 digits, point, 17 digits. */
};

struct base_decimal {
    bool negative;
    size_t count;                       /* Limbs in use; those above are 0 and not written. */
    uint32_t limbs[BASE_DECIMAL_LIMBS]; /* The lowest first: four of them behind the point. */
};

/* Digits with or without sign, point and exponent ("-1.5e3"), nothing before or after. False: it is
 * none, or too large. */
bool base_decimal_read(struct base_bytes text, struct base_decimal *ret_decimal);
/* False: the sum is too large. */
bool base_decimal_add(const struct base_decimal *a, const struct base_decimal *b,
                      struct base_decimal *ret_sum);
/* Rounded to 17 digits behind the point (halves away from zero), without zeros at the end, "0"
 * having no sign. Returns the size; 0: rounding made it too large. */
size_t base_decimal_write(const struct base_decimal *decimal, uint8_t at[BASE_DECIMAL_TEXT_MAX]);

#endif /* TORC_BASE_DECIMAL_H */

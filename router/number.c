#include "router/number.h"

#include <string.h>

#include "base/assert.h"

/* Digits only; false when there are none, others, or more than 64 bits hold. */
static bool read_digits(struct base_bytes text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

bool router_number_read(struct base_bytes text, int64_t *ret_number)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    struct base_bytes digits = text;
    if (negative)
        digits = base_bytes_of(text.data + 1, text.size - 1);
    uint64_t number;
    if (!read_digits(digits, &number))
        return false;
    if (digits.data[0] == '0' && (digits.size > 1 || negative))
        return false;
    uint64_t max = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (number > max)
        return false;
    *ret_number = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

bool router_number_read_unsigned(struct base_bytes text, uint64_t *ret_number)
{
    return read_digits(text, ret_number);
}

size_t router_number_write(int64_t number, char *at)
{
    char digits[ROUTER_NUMBER_SIZE_MAX];
    size_t count = 0, size = 0;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        at[size++] = '-';
    while (count > 0)
        at[size++] = digits[--count];
    TORC_ASSERT(size <= ROUTER_NUMBER_SIZE_MAX);
    return size;
}

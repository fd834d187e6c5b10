/* A decoder with one planted bug, CANARY_BUG, for canary_test.sh: the replay must find each. */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUG_NONE, BUG_OVERREAD, BUG_ASSERTION, BUG_BELIEVED_LENGTH, BUG_ENDLESS };

/* "C", a length byte, that many bytes. Returns their sum. */
static unsigned decode(const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] != 'C')
        return 0;
    size_t length = data[1];
    if (CANARY_BUG == BUG_ASSERTION)
        TORC_ASSERT(length <= size - 2);
    if (CANARY_BUG == BUG_ENDLESS && length == 0xff) {
        for (volatile unsigned turns = 1; turns > 0;)
            turns = 1;
    }
    if (CANARY_BUG != BUG_BELIEVED_LENGTH && length > size - 2)
        return 0;
    unsigned sum = 0;
    for (size_t i = 0; i < length + (CANARY_BUG == BUG_OVERREAD ? 1 : 0); i++)
        sum += data[2 + i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TORC_ASSERT(decode(data, size) <= 256 * 255); /* Uses the sum, so that every read happens. */
    return 0;
}

/* Envelopes: what is accepted has a known type, lies inside the message, and is written back to the
 * same bytes. Since hardly a mutant has a right checksum, each is also tried with it put right. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "wire/dedup.h"
#include "wire/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_TRIED = 1 << 16 };

static void check(const uint8_t *data, size_t size)
{
    static uint8_t again[SIZE_MAX_TRIED];
    struct wire_envelope envelope;
    enum torc_status status = wire_envelope_read(base_bytes_of(data, size), &envelope);
    TORC_ASSERT(status == TORC_OK || status == TORC_MALFORMED || status == TORC_NEWER);
    if (status != TORC_OK)
        return;
    TORC_ASSERT(strcmp(wire_type_name(envelope.type), "unknown") != 0);
    TORC_ASSERT(wire_envelope_size(&envelope) == size);
    TORC_ASSERT(envelope.body.data == data + WIRE_ENVELOPE_SIZE);
    TORC_ASSERT(envelope.payload.data + envelope.payload.size == data + size);
    wire_envelope_write(&envelope, again);
    TORC_ASSERT(memcmp(again, data, size) == 0);
    struct wire_window window = {0};
    bool taken = wire_window_take(&window, envelope.incarnation, envelope.number);
    TORC_ASSERT(taken == (envelope.number != 0));
    TORC_ASSERT(!wire_window_take(&window, envelope.incarnation, envelope.number));
}

static void check_repaired(const uint8_t *data, size_t size)
{
    uint8_t *message = malloc(size);
    TORC_ASSERT(message != NULL);
    memcpy(message, data, size);
    uint32_t rest = (uint32_t)(size - WIRE_ENVELOPE_SIZE), body = base_get_le32(message + 8);
    if (body <= rest)
        base_put_le32(message + 12, rest - body);
    uint64_t head = base_hash(base_bytes_of(message, WIRE_ENVELOPE_SIZE - 8));
    base_put_le64(message + WIRE_ENVELOPE_SIZE - 8,
                  base_hash_seeded(base_bytes_of(message + WIRE_ENVELOPE_SIZE, rest), head));
    check(message, size);
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_MAX_TRIED)
        return 0;
    check(data, size);
    if (size >= WIRE_ENVELOPE_SIZE)
        check_repaired(data, size);
    return 0;
}

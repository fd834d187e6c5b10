/*
 * What RESTORE is given. The bytes stand before the footer, so that every one of them gets past the
 * checksum; what is read from them, and the bytes themselves as a value, must come back from DUMP.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "router/crc64.h"
#include "router/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUE_SIZE_MAX = 4096 };

static void there_and_back(struct base_bytes value)
{
    struct router_buffer dump = router_buffer_empty(base_allocator_system());
    struct router_buffer back = router_buffer_empty(base_allocator_system());
    router_dump_write(value, &dump);
    TORC_ASSERT(router_dump_read(router_buffer_bytes(&dump), value.size + 11, &back) ==
                ROUTER_DUMP_OK);
    TORC_ASSERT(base_bytes_equal(router_buffer_bytes(&back), value));
    router_buffer_fini(&dump);
    router_buffer_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct router_buffer value = router_buffer_empty(base_allocator_system());
    /* Memory of exactly that size, so that the sanitizer sees a read past it. */
    uint8_t *dump = malloc(size + 10);
    if (size > 0)
        memcpy(dump, data, size);
    base_put_le16(dump + size, 10);
    base_put_le64(dump + size + 2, router_crc64(base_bytes_of(dump, size + 2)));
    enum router_dump_status status =
        router_dump_read(base_bytes_of(dump, size + 10), VALUE_SIZE_MAX, &value);
    TORC_ASSERT(status != ROUTER_DUMP_CHECKSUM);
    TORC_ASSERT(value.size <= VALUE_SIZE_MAX || value.size <= size);
    TORC_ASSERT(status == ROUTER_DUMP_OK || value.size == 0);
    if (status == ROUTER_DUMP_OK)
        there_and_back(router_buffer_bytes(&value));
    there_and_back(base_bytes_of(data, size));
    router_buffer_fini(&value);
    free(dump);
    return 0;
}

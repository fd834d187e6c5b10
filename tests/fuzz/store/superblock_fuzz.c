/* Superblocks: what is accepted is written back to the same bytes. Since hardly a mutant has a
 * right checksum, each is also tried with it put right. */
#include "store/superblock.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AT_HASH = 8, AT_VERSION = 16, AT_END = 120 };

static void check(const uint8_t *bytes)
{
    struct store_superblock superblock;
    uint8_t again[STORE_SUPERBLOCK_SIZE];
    enum torc_status status = store_superblock_decode(bytes, &superblock);
    TORC_ASSERT(status == TORC_OK || status == TORC_MALFORMED || status == TORC_NEWER);
    if (status != TORC_OK)
        return;
    store_superblock_encode(&superblock, again);
    TORC_ASSERT(memcmp(bytes, again, AT_HASH) == 0);
    TORC_ASSERT(memcmp(bytes + AT_VERSION, again + AT_VERSION, AT_END - AT_VERSION) == 0);
    TORC_ASSERT(superblock.segment_size % superblock.block_size == 0);
    TORC_ASSERT(superblock.oldest <= superblock.position.segment);
    TORC_ASSERT((uint64_t)superblock.position.block * superblock.block_size <=
                superblock.segment_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[STORE_SUPERBLOCK_SIZE] = {0};
    memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
    check(bytes);
    memcpy(bytes, "torcsupr", AT_HASH);
    base_put_le64(bytes + AT_HASH,
                  base_hash(base_bytes_of(bytes + AT_VERSION, sizeof bytes - AT_VERSION)));
    check(bytes);
    return 0;
}

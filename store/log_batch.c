#include "store/log_int.h"

#include "base/assert.h"
#include "base/bytes.h"

enum {
    AT_PREVIOUS = STORE_BLOCK_STAMP_SIZE,
    AT_OLDEST = AT_PREVIOUS + 8,
    AT_PREVIOUS_END = AT_OLDEST + 8,
    AT_END = AT_PREVIOUS_END + 4,
    HEADER_LENGTH = AT_END - STORE_BLOCK_STAMP_SIZE,
};

_Static_assert((int)AT_END <= (int)STORE_BLOCK_SIZE_MIN, "a segment's header fits into a block");

uint32_t store_log_batch_blocks(const struct store_log_geometry *geometry, uint64_t length)
{
    return (uint32_t)((length + geometry->block_room - 1) / geometry->block_room);
}

/* Appends bytes, block by block, stepping over the stamps. */
static void writer_put(struct store_log_writer *writer, const uint8_t *bytes, size_t size)
{
    const struct store_log_geometry *geometry = writer->geometry;
    while (size > 0) {
        uint32_t block = writer->length / geometry->block_room;
        uint32_t at = writer->length % geometry->block_room;
        size_t room = geometry->block_room - at;
        size_t part = size < room ? size : room;
        memcpy(writer->blocks + (size_t)block * geometry->block_size + STORE_BLOCK_STAMP_SIZE + at,
               bytes, part);
        writer->length += (uint32_t)part;
        bytes += part;
        size -= part;
    }
}

void store_log_writer_add(struct store_log_writer *writer, const struct store_record *record)
{
    uint8_t header[STORE_RECORD_HEADER_SIZE];
    TORC_ASSERT(writer->length + store_record_size(record) <= UINT32_MAX);
    store_record_encode(record, header);
    writer_put(writer, header, sizeof header);
    writer_put(writer, record->payload.data, record->payload.size);
}

uint32_t store_log_writer_seal(const struct store_log_writer *writer, uint64_t segment,
                               uint32_t number, uint64_t batch)
{
    const struct store_log_geometry *geometry = writer->geometry;
    uint32_t blocks = store_log_batch_blocks(geometry, writer->length);
    TORC_ASSERT(blocks > 0);
    uint32_t used = writer->length - (blocks - 1) * geometry->block_room;
    uint8_t *last = writer->blocks + (size_t)(blocks - 1) * geometry->block_size;
    memset(last + STORE_BLOCK_STAMP_SIZE + used, 0, geometry->block_room - used);
    for (uint32_t place = 0; place < blocks; place++) {
        const struct store_block_stamp stamp = {.generation = segment,
                                                .batch = batch,
                                                .number = number + place,
                                                .place = place,
                                                .length = writer->length};
        store_block_seal(writer->blocks + (size_t)place * geometry->block_size,
                         geometry->block_size, geometry->seed, &stamp);
    }
    return blocks;
}

void store_log_gather(const struct store_log_geometry *geometry, const uint8_t *blocks,
                      uint64_t offset, void *bytes, size_t size)
{
    uint8_t *to = bytes;
    while (size > 0) {
        uint64_t block = offset / geometry->block_room;
        uint32_t at = (uint32_t)(offset % geometry->block_room);
        size_t room = geometry->block_room - at;
        size_t part = size < room ? size : room;
        memcpy(to, blocks + block * geometry->block_size + STORE_BLOCK_STAMP_SIZE + at, part);
        to += part;
        offset += part;
        size -= part;
    }
}

void store_log_segment_header_seal(const struct store_log_geometry *geometry, uint8_t *block,
                                   uint64_t segment, uint64_t batch,
                                   const struct store_log_segment_header *header)
{
    memset(block, 0, geometry->block_size);
    base_put_le64(block + AT_PREVIOUS, header->previous);
    base_put_le64(block + AT_OLDEST, header->oldest);
    base_put_le32(block + AT_PREVIOUS_END, header->previous_end);
    const struct store_block_stamp stamp = {
        .generation = segment, .batch = batch, .length = HEADER_LENGTH};
    store_block_seal(block, geometry->block_size, geometry->seed, &stamp);
}

bool store_log_segment_header_read(const struct store_log_geometry *geometry, const uint8_t *block,
                                   uint64_t segment, uint64_t *ret_batch,
                                   struct store_log_segment_header *ret_header)
{
    struct store_block_stamp stamp;
    if (store_block_judge(block, geometry->block_size, geometry->seed, segment, 0, &stamp) !=
            STORE_BLOCK_NEW ||
        stamp.place != 0 || stamp.length != HEADER_LENGTH)
        return false;
    *ret_batch = stamp.batch;
    ret_header->previous = base_get_le64(block + AT_PREVIOUS);
    ret_header->oldest = base_get_le64(block + AT_OLDEST);
    ret_header->previous_end = base_get_le32(block + AT_PREVIOUS_END);
    return true;
}

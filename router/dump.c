#include "router/dump.h"

#include <stdbool.h>

#include "router/crc64.h"
#include "router/lzf.h"
#include "router/number.h"

enum {
    TYPE_STRING = 0,
    VERSION = 10,
    FOOTER_SIZE = 10,
    INTEGER_TEXT_MAX = 11, /* "-2147483648" */
    COMPRESSED_MIN = 20,   /* A value is longer than this, and at least */
    SAVED_MIN = 4,         /* so many bytes longer than what is written in its place. */
};

/* The two highest bits of a size's first byte, and what the others mean when both are set. */
enum { SIZE_6 = 0x00, SIZE_14 = 0x40, SIZE_32 = 0x80, SIZE_64 = 0x81, ENCODED = 0xc0 };
enum { ENCODED_INT8, ENCODED_INT16, ENCODED_INT32, ENCODED_LZF };

static void put_byte(struct router_buffer *out, unsigned byte)
{
    *router_buffer_grow(out, 1) = (uint8_t)byte;
}

/* Values have less than 4 GiB. */
static void put_size(struct router_buffer *out, size_t size)
{
    if (size < 1 << 6) {
        put_byte(out, SIZE_6 | (unsigned)size);
    } else if (size < 1 << 14) {
        put_byte(out, SIZE_14 | (unsigned)(size >> 8));
        put_byte(out, (unsigned)size & 0xff);
    } else {
        put_byte(out, SIZE_32);
        base_put_be32(router_buffer_grow(out, 4), (uint32_t)size);
    }
}

/* As an integer, when its text is exactly the value. */
static bool write_integer(struct base_bytes value, struct router_buffer *out)
{
    int64_t number;
    if (value.size > INTEGER_TEXT_MAX || !router_number_read(value, &number) ||
        number < INT32_MIN || number > INT32_MAX)
        return false;
    if (number >= INT8_MIN && number <= INT8_MAX) {
        put_byte(out, ENCODED | ENCODED_INT8);
        put_byte(out, (unsigned)number & 0xff);
    } else if (number >= INT16_MIN && number <= INT16_MAX) {
        put_byte(out, ENCODED | ENCODED_INT16);
        base_put_le16(router_buffer_grow(out, 2), (uint16_t)number);
    } else {
        put_byte(out, ENCODED | ENCODED_INT32);
        base_put_le32(router_buffer_grow(out, 4), (uint32_t)number);
    }
    return true;
}

static bool write_compressed(struct base_bytes value, struct router_buffer *out)
{
    if (value.size <= COMPRESSED_MIN)
        return false;
    struct router_buffer compressed = router_buffer_empty(out->allocator);
    size_t capacity = value.size - SAVED_MIN;
    uint8_t *at = router_buffer_grow(&compressed, capacity + 1); /* The compressor's first guess. */
    size_t size = router_lzf_compress(out->allocator, value, at, capacity);
    if (size > 0) {
        put_byte(out, ENCODED | ENCODED_LZF);
        put_size(out, size);
        put_size(out, value.size);
        router_buffer_append(out, base_bytes_of(at, size));
    }
    router_buffer_fini(&compressed);
    return size > 0;
}

void router_dump_write(struct base_bytes value, struct router_buffer *out)
{
    size_t begin = out->size;
    put_byte(out, TYPE_STRING);
    if (!write_integer(value, out) && !write_compressed(value, out)) {
        put_size(out, value.size);
        router_buffer_append(out, value);
    }
    base_put_le16(router_buffer_grow(out, 2), VERSION);
    uint64_t crc = router_crc64(base_bytes_of(out->data + begin, out->size - begin));
    base_put_le64(router_buffer_grow(out, 8), crc);
}

/* ---- Reading
 * ------------------------------------------------------------------------------------- */

/* Takes `size` bytes off the front; NULL: there are not so many. */
static const uint8_t *take(struct base_bytes *rest, size_t size)
{
    const uint8_t *at = rest->data;
    if (size > rest->size)
        return NULL;
    *rest = base_bytes_of(at + size, rest->size - size);
    return at;
}

static bool take_size_rest(struct base_bytes *rest, size_t bytes, uint64_t *size)
{
    const uint8_t *at = take(rest, bytes);
    for (size_t i = 0; at != NULL && i < bytes; i++)
        *size = *size << 8 | at[i];
    return at != NULL;
}

/* A size, or what is encoded in another way: *ret_encoded then, and the encoding as the size. */
static bool take_size(struct base_bytes *rest, uint64_t *ret_size, bool *ret_encoded)
{
    const uint8_t *first = take(rest, 1);
    if (first == NULL)
        return false;
    *ret_encoded = *first >= ENCODED;
    *ret_size = *first & 0x3f;
    if (*first >= ENCODED || *first < SIZE_14)
        return true;
    if (*first < SIZE_32)
        return take_size_rest(rest, 1, ret_size);
    *ret_size = 0;
    return (*first == SIZE_32 && take_size_rest(rest, 4, ret_size)) ||
           (*first == SIZE_64 && take_size_rest(rest, 8, ret_size));
}

static enum router_dump_status read_integer(struct base_bytes rest, size_t bytes,
                                            struct router_buffer *value)
{
    char text[ROUTER_NUMBER_SIZE_MAX];
    uint32_t number = 0;
    const uint8_t *at = take(&rest, bytes);
    if (at == NULL)
        return ROUTER_DUMP_FORMAT;
    for (size_t i = bytes; i > 0; i--)
        number = number << 8 | at[i - 1];
    unsigned unused = 32 - 8 * (unsigned)bytes;
    int32_t signed_number = (int32_t)(number << unused) >> unused;
    router_buffer_append(value, base_bytes_of(text, router_number_write(signed_number, text)));
    return ROUTER_DUMP_OK;
}

static enum router_dump_status read_compressed(struct base_bytes rest, size_t size_max,
                                               struct router_buffer *value)
{
    uint64_t packed, size;
    bool encoded; /* Redis does not look at it here either. */
    if (!take_size(&rest, &packed, &encoded) || !take_size(&rest, &size, &encoded) ||
        packed > rest.size)
        return ROUTER_DUMP_FORMAT;
    if (size > size_max)
        return ROUTER_DUMP_TOO_LARGE;
    size_t had = value->size;
    uint8_t *at = router_buffer_grow(value, (size_t)size);
    if (router_lzf_expand(base_bytes_of(rest.data, (size_t)packed), at, (size_t)size) == size)
        return ROUTER_DUMP_OK;
    value->size = had;
    return ROUTER_DUMP_FORMAT;
}

static enum router_dump_status read_string(struct base_bytes rest, size_t size_max,
                                           struct router_buffer *value)
{
    uint64_t size;
    bool encoded;
    if (!take_size(&rest, &size, &encoded))
        return ROUTER_DUMP_FORMAT;
    if (encoded && size <= ENCODED_INT32)
        return read_integer(rest, (size_t)1 << size, value);
    if (encoded)
        return size == ENCODED_LZF ? read_compressed(rest, size_max, value) : ROUTER_DUMP_FORMAT;
    if (size > rest.size)
        return ROUTER_DUMP_FORMAT;
    if (size > size_max)
        return ROUTER_DUMP_TOO_LARGE;
    router_buffer_append(value, base_bytes_of(rest.data, (size_t)size));
    return ROUTER_DUMP_OK;
}

enum router_dump_status router_dump_read(struct base_bytes dump, size_t size_max,
                                         struct router_buffer *value)
{
    if (dump.size < FOOTER_SIZE)
        return ROUTER_DUMP_CHECKSUM;
    const uint8_t *footer = dump.data + dump.size - FOOTER_SIZE;
    if (base_get_le16(footer) > VERSION ||
        router_crc64(base_bytes_of(dump.data, dump.size - 8)) != base_get_le64(footer + 2))
        return ROUTER_DUMP_CHECKSUM;
    /* As in Redis: the footer itself is there to be read, and what is behind the value is not
     * looked at. */
    struct base_bytes rest = dump;
    const uint8_t *type = take(&rest, 1);
    if (*type != TYPE_STRING)
        return ROUTER_DUMP_FORMAT;
    return read_string(rest, size_max, value);
}

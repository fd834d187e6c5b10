/*
 * router/dump -- what DUMP gives and RESTORE takes: a string in the format of Redis's RDB files,
 * version 10. Written as Redis writes it, to the byte; read from anybody, so no size in it is
 * believed.
 *
 *     0   u8 type, 0: a string
 *     1   a size and so many bytes; or an integer of 8, 16 or 32 bits; or LZF with both sizes
 *     ... u16 version, u64 checksum of all before it (router/crc64), both little-endian
 */
#ifndef TORC_ROUTER_DUMP_H
#define TORC_ROUTER_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"

enum router_dump_status {
    ROUTER_DUMP_OK,
    ROUTER_DUMP_CHECKSUM,  /* Too short, newer than version 10, or the checksum is wrong. */
    ROUTER_DUMP_FORMAT,    /* No string, or a damaged one. */
    ROUTER_DUMP_TOO_LARGE, /* It would be larger than is allowed. */
};

void router_dump_write(struct base_bytes value, struct router_buffer *out);
/* Appends the value, of at most `size_max` bytes, to `value`; anything but OK appends nothing. */
enum router_dump_status router_dump_read(struct base_bytes dump, size_t size_max,
                                         struct router_buffer *value);

#endif /* TORC_ROUTER_DUMP_H */

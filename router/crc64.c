#include "router/crc64.h"

#include <stdbool.h>

/* The polynomial 0xad93d23594c935a9, its bits in the other order. */
static const uint64_t polynomial = UINT64_C(0x95ac9329ac4bc9b5);

enum {
    SLICES = 8,       /* Bytes taken in one step, each with a table of its own. */
    SLICED_MIN = 512, /* From this size on, their tables cost less than they save. */
};

/*
 * tables[0][b] is what a byte b adds, tables[i][b] what it adds when i bytes follow. Both are sums
 * (exclusive or) of what the bits of b add. Made anew every time: a microsecond, and no variable is
 * kept.
 */
static void tables_fill(uint64_t tables[SLICES][256], unsigned count)
{
    tables[0][0] = 0;
    uint64_t crc = 1;
    for (unsigned bit = 128; bit > 0; bit >>= 1) {
        crc = crc >> 1 ^ (polynomial & -(crc & 1));
        for (unsigned above = 0; above < 256; above += 2 * bit)
            tables[0][above + bit] = tables[0][above] ^ crc;
    }
    for (unsigned i = 1; i < count; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            crc = tables[i - 1][byte];
            tables[i][byte] = crc >> 8 ^ tables[0][crc & 0xff];
        }
    }
}

uint64_t router_crc64(struct base_bytes bytes)
{
    uint64_t tables[SLICES][256], crc = 0;
    size_t at = 0;
    bool sliced = bytes.size >= SLICED_MIN;
    tables_fill(tables, sliced ? SLICES : 1);
    for (; sliced && bytes.size - at >= SLICES; at += SLICES) {
        uint64_t next = crc ^ base_get_le64(bytes.data + at);
        crc = 0;
        for (unsigned i = 0; i < SLICES; i++)
            crc ^= tables[SLICES - 1 - i][next >> 8 * i & 0xff];
    }
    for (; at < bytes.size; at++)
        crc = tables[0][(crc ^ bytes.data[at]) & 0xff] ^ crc >> 8;
    return crc;
}

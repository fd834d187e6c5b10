#include "router/crc64.h"

/* The polynomial 0xad93d23594c935a9, its bits in the other order. */
static const uint64_t polynomial = UINT64_C(0x95ac9329ac4bc9b5);

/* What each byte adds. Made anew every time: cheaper than a command, and no variable is kept. */
static void table_fill(uint64_t table[256])
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (polynomial & -(crc & 1));
        table[byte] = crc;
    }
}

uint64_t router_crc64(struct base_bytes bytes)
{
    uint64_t table[256], crc = 0;
    table_fill(table);
    for (size_t i = 0; i < bytes.size; i++)
        crc = table[(crc ^ bytes.data[i]) & 0xff] ^ crc >> 8;
    return crc;
}

/*
 * base/bytes -- a borrowed run of bytes, and little- and big-endian numbers in place.
 *
 * Little-endian is the order of everything that travels or is logged; big-endian is used in keys of
 * the ordered state, where byte order must be number order.
 */
#ifndef TORC_BASE_BYTES_H
#define TORC_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed: says nothing of who owns the memory; `data` may be NULL only when size is 0. */
struct base_bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct base_bytes base_bytes_of(const void *data, size_t size)
{
    return (struct base_bytes){(const uint8_t *)data, size};
}

static inline struct base_bytes base_bytes_text(const char *text)
{
    return (struct base_bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool base_bytes_equal(struct base_bytes a, struct base_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* memcmp order, the shorter first on a tie: <0, 0, >0. */
static inline int base_bytes_compare(struct base_bytes a, struct base_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static inline void base_put_le16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void base_put_le32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline void base_put_le64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint16_t base_get_le16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (unsigned)at[1] << 8);
}

static inline uint32_t base_get_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t base_get_le64(const uint8_t *at)
{
    return (uint64_t)base_get_le32(at) | (uint64_t)base_get_le32(at + 4) << 32;
}

static inline void base_put_be32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline void base_put_be64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
}

static inline uint32_t base_get_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
}

static inline uint64_t base_get_be64(const uint8_t *at)
{
    return (uint64_t)base_get_be32(at) << 32 | base_get_be32(at + 4);
}

#endif /* TORC_BASE_BYTES_H */

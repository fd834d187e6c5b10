/* benchmarks/micro/data -- the SET that all parts work on. */
#ifndef TORC_BENCHMARKS_MICRO_DATA_H
#define TORC_BENCHMARKS_MICRO_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/op.h"

enum { MICRO_REQUEST_SIZE_MAX = 512, MICRO_KEYS = 10000 };

extern const struct wire_limits micro_limits;

/* Encodes a request that puts a value of PART_VALUE_SIZE bytes; returns its size. */
size_t micro_request_write(uint8_t *at, size_t capacity, uint64_t number, uint64_t last_time);
/* An entry of `count` such requests, their numbers from `number` on. */
size_t micro_entry_write(uint8_t *at, size_t capacity, uint64_t clock, uint64_t number,
                         unsigned count, uint64_t last_time);

#endif /* TORC_BENCHMARKS_MICRO_DATA_H */

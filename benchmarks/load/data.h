/*
 * benchmarks/load/data -- which keys a load names, and what their values hold.
 *
 * A key is "key" and 13 decimal digits. A value is its key, 8 hexadecimal digits, and as many bytes
 * of a fixed pool of noise from the place that the digits name: no two writes are alike, nothing
 * compresses to nothing, and whoever reads a value can check every byte. etcd_load/main.go makes
 * the same.
 */
#ifndef TORC_BENCHMARKS_LOAD_DATA_H
#define TORC_BENCHMARKS_LOAD_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/prng.h"

enum {
    DATA_KEY_SIZE = 16,
    DATA_VALUE_SIZE_MIN = 24,
    DATA_VALUE_SIZE_MAX = 65536,
    DATA_POOL_SIZE = 2 * DATA_VALUE_SIZE_MAX,
};

struct data_choice { /* Open, to be embedded. */
    bool zipf;       /* Else uniform. */
    uint64_t key_count;
    double theta, zeta, alpha, eta;
};

/* Zipf: the i-th most frequent key comes about 1 / i^theta as often as the first; which keys these
 * are is scattered over all. theta is over 0 and under 1. */
void data_choice_init(struct data_choice *choice, uint64_t key_count, bool zipf, double theta);
uint64_t data_choose(const struct data_choice *choice, struct base_prng *prng);

void data_key_write(uint8_t key[DATA_KEY_SIZE], uint64_t index);
/* The noise that values are cut from; made at the first call. */
void data_value_write(uint8_t *value, size_t size, const uint8_t key[DATA_KEY_SIZE],
                      struct base_prng *prng);
/* Whether it is a value of this key and size, to the last byte. */
bool data_value_good(struct base_bytes value, size_t size, const uint8_t key[DATA_KEY_SIZE]);

/* The slot of Redis Cluster that a key without braces belongs to. */
unsigned data_slot(const uint8_t *key, size_t size);

#endif /* TORC_BENCHMARKS_LOAD_DATA_H */

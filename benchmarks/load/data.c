#include "benchmarks/load/data.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

/* ---- Which key ----------------------------------------------------------------------------------
 */

/* "Quickly generating billion-record synthetic databases", Gray et al., as YCSB has it. */
void data_choice_init(struct data_choice *choice, uint64_t key_count, bool zipf, double theta)
{
    TORC_ASSERT(key_count > 0);
    TORC_ASSERT(theta > 0 && theta < 1);
    *choice = (struct data_choice){.zipf = zipf, .key_count = key_count, .theta = theta};
    if (!zipf || key_count < 3)
        return;
    for (uint64_t i = 1; i <= key_count; i++)
        choice->zeta += 1 / pow((double)i, theta);
    double zeta_of_two = 1 + 1 / pow(2, theta);
    choice->alpha = 1 / (1 - theta);
    choice->eta = (1 - pow(2.0 / (double)key_count, 1 - theta)) / (1 - zeta_of_two / choice->zeta);
}

static uint64_t rank_of(const struct data_choice *choice, double drawn)
{
    double scaled = drawn * choice->zeta;
    if (scaled < 1)
        return 0;
    if (scaled < 1 + pow(0.5, choice->theta))
        return 1;
    double rank =
        (double)choice->key_count * pow(choice->eta * drawn - choice->eta + 1, choice->alpha);
    uint64_t whole = (uint64_t)rank;
    return whole < choice->key_count ? whole : choice->key_count - 1;
}

uint64_t data_choose(const struct data_choice *choice, struct base_prng *prng)
{
    if (!choice->zipf || choice->key_count < 3)
        return base_prng_range(prng, 0, choice->key_count - 1);
    double drawn = (double)(base_prng_next(prng) >> 11) * 0x1p-53;
    uint64_t scattered = (rank_of(choice, drawn) + 1) * UINT64_C(0x9E3779B97F4A7C15);
    scattered = (scattered ^ scattered >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return (scattered ^ scattered >> 32) % choice->key_count;
}

/* ---- Keys and values ----------------------------------------------------------------------------
 */

void data_key_write(uint8_t key[DATA_KEY_SIZE], uint64_t index)
{
    memcpy(key, "key", 3);
    for (int i = DATA_KEY_SIZE - 1; i >= 3; i--) {
        key[i] = (uint8_t)('0' + index % 10);
        index /= 10;
    }
}

static const uint8_t *pool(void)
{
    static uint8_t noise[DATA_POOL_SIZE];
    static bool made;
    if (!made) {
        uint64_t state = 1;
        for (size_t i = 0; i < sizeof(noise); i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise[i] = (uint8_t)(state >> 32);
        }
        made = true;
    }
    return noise;
}

void data_value_write(uint8_t *value, size_t size, const uint8_t key[DATA_KEY_SIZE],
                      struct base_prng *prng)
{
    TORC_ASSERT(size >= DATA_VALUE_SIZE_MIN && size <= DATA_VALUE_SIZE_MAX);
    uint32_t place = (uint32_t)base_prng_range(prng, 0, DATA_VALUE_SIZE_MAX - 1);
    memcpy(value, key, DATA_KEY_SIZE);
    for (int i = 0; i < 8; i++)
        value[DATA_KEY_SIZE + i] = (uint8_t) "0123456789abcdef"[place >> (28 - 4 * i) & 15];
    memcpy(value + DATA_VALUE_SIZE_MIN, pool() + place, size - DATA_VALUE_SIZE_MIN);
}

bool data_value_good(struct base_bytes value, size_t size, const uint8_t key[DATA_KEY_SIZE])
{
    if (value.size != size || memcmp(value.data, key, DATA_KEY_SIZE) != 0)
        return false;
    uint32_t place = 0;
    for (int i = 0; i < 8; i++) {
        uint8_t digit = value.data[DATA_KEY_SIZE + i];
        bool decimal = digit >= '0' && digit <= '9', letter = digit >= 'a' && digit <= 'f';
        if (!decimal && !letter)
            return false;
        place = place << 4 | (uint32_t)(decimal ? digit - '0' : digit - 'a' + 10);
    }
    return place < DATA_VALUE_SIZE_MAX && memcmp(value.data + DATA_VALUE_SIZE_MIN, pool() + place,
                                                 size - DATA_VALUE_SIZE_MIN) == 0;
}

/* CRC-16/XMODEM. */
unsigned data_slot(const uint8_t *key, size_t size)
{
    unsigned crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned)key[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc & 16383;
}

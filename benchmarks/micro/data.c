#include "benchmarks/micro/data.h"

#include "benchmarks/micro/part.h"

const struct wire_limits micro_limits = {4096, 8 << 20, 64 << 20};

size_t micro_request_write(uint8_t *at, size_t capacity, uint64_t number, uint64_t last_time)
{
    static const uint8_t value[PART_VALUE_SIZE];
    uint8_t key[PART_KEY_SIZE] = "user:00000000000";
    base_put_le64(key + 8, number % MICRO_KEYS | 0x8080808080808080);
    struct wire_op op = {.type = WIRE_OP_PUT,
                         .condition = WIRE_IF_ALWAYS,
                         .expiry_mode = WIRE_EXPIRY_NONE,
                         .key = base_bytes_of(key, sizeof(key)),
                         .value = base_bytes_of(value, sizeof(value))};
    size_t size =
        wire_request_begin(at, capacity, (struct wire_client_id){11, 22}, number, last_time, 0);
    size += wire_op_write(at + size, capacity - size, &op);
    wire_request_end(at, size, 1);
    return size;
}

size_t micro_entry_write(uint8_t *at, size_t capacity, uint64_t clock, uint64_t number,
                         unsigned count, uint64_t last_time)
{
    size_t size = wire_entry_begin(at, capacity, clock, count);
    for (unsigned i = 0; i < count; i++)
        size += micro_request_write(at + size, capacity - size, number + i, last_time);
    return size;
}

#include "wire/envelope.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static const char body[] = "body bytes", payload[] = "payload";

static struct wire_envelope example(void)
{
    struct wire_envelope envelope = {.type = WIRE_TYPE_REQUEST,
                                     .node = 1,
                                     .incarnation = 2,
                                     .to_node = 3,
                                     .to_incarnation = 4,
                                     .number = 0x1122334455667788,
                                     .durable_batch = 5,
                                     .wall_ms = 1767225600000,
                                     .body = base_bytes_of(body, sizeof(body) - 1),
                                     .payload = base_bytes_of(payload, sizeof(payload) - 1)};
    for (uint8_t i = 0; i < WIRE_ID_SIZE; i++) {
        envelope.cluster.bytes[i] = (uint8_t)(0xa0 + i);
        envelope.storage.bytes[i] = (uint8_t)(0xb0 + i);
    }
    return envelope;
}

enum { EXAMPLE_SIZE = WIRE_ENVELOPE_SIZE + sizeof(body) - 1 + sizeof(payload) - 1 };

static void write_example(uint8_t message[EXAMPLE_SIZE])
{
    struct wire_envelope envelope = example();
    cr_assert_eq(wire_envelope_size(&envelope), EXAMPLE_SIZE);
    wire_envelope_write(&envelope, message);
}

static enum torc_status read_bytes(const uint8_t *message, size_t size)
{
    struct wire_envelope envelope;
    return wire_envelope_read(base_bytes_of(message, size), &envelope);
}

/* What was written is read back, field by field. */
Test(wire, envelope_reads_what_was_written)
{
    uint8_t message[EXAMPLE_SIZE];
    struct wire_envelope expected = example(), found;
    write_example(message);
    cr_assert_eq(wire_envelope_read(base_bytes_of(message, EXAMPLE_SIZE), &found), TORC_OK);
    cr_assert_eq(found.type, expected.type);
    cr_assert_eq(memcmp(&found.cluster, &expected.cluster, sizeof(found.cluster)), 0);
    cr_assert_eq(memcmp(&found.storage, &expected.storage, sizeof(found.storage)), 0);
    cr_assert_eq(found.node, expected.node);
    cr_assert_eq(found.incarnation, expected.incarnation);
    cr_assert_eq(found.to_node, expected.to_node);
    cr_assert_eq(found.to_incarnation, expected.to_incarnation);
    cr_assert_eq(found.number, expected.number);
    cr_assert_eq(found.durable_batch, expected.durable_batch);
    cr_assert_eq(found.wall_ms, expected.wall_ms);
    cr_assert(base_bytes_equal(found.body, expected.body));
    cr_assert(base_bytes_equal(found.payload, expected.payload));
    cr_assert_eq(found.body.data, message + WIRE_ENVELOPE_SIZE); /* In place. */
}

/* The bytes of version 1 are these and stay these. */
Test(wire, envelope_bytes_are_golden)
{
    FILE *file = fopen("tests/golden/wire/envelope_1.txt", "r");
    cr_assert_not_null(file);
    uint8_t message[EXAMPLE_SIZE];
    write_example(message);
    for (size_t i = 0; i < EXAMPLE_SIZE; i++) {
        unsigned byte = 0;
        cr_assert_eq(fscanf(file, "%2x", &byte), 1);
        cr_assert_eq(message[i], byte, "byte %zu: golden %02x, written %02x", i, byte, message[i]);
    }
    cr_assert_eq(fscanf(file, " %*c"), EOF);
    fclose(file);
}

/* A flipped bit anywhere is an error, never another valid message. */
Test(wire, envelope_with_any_bit_flipped_is_refused)
{
    uint8_t message[EXAMPLE_SIZE];
    write_example(message);
    for (size_t bit = 0; bit < EXAMPLE_SIZE * 8; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_neq(read_bytes(message, EXAMPLE_SIZE), TORC_OK, "bit %zu", bit);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_eq(read_bytes(message, EXAMPLE_SIZE), TORC_OK);
}

/* Every shorter message and a longer one are refused; nothing is read past the end (each is in a
 * block of its own size, for the sanitizer). */
Test(wire, envelope_of_another_size_is_refused)
{
    uint8_t message[EXAMPLE_SIZE + 1] = {0};
    write_example(message);
    for (size_t size = 0; size <= EXAMPLE_SIZE + 1; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, message, size);
        exact = realloc(exact, size == 0 ? 1 : size);
        enum torc_status expected = size == EXAMPLE_SIZE ? TORC_OK : TORC_MALFORMED;
        cr_assert_eq(read_bytes(exact, size), expected, "size %zu", size);
        free(exact);
    }
}

/* A later version is told from damage, so that an operator learns which side is old. */
Test(wire, envelope_of_a_later_version_is_newer)
{
    uint8_t message[EXAMPLE_SIZE];
    write_example(message);
    message[4] = WIRE_ENVELOPE_VERSION + 1;
    cr_assert_eq(read_bytes(message, EXAMPLE_SIZE), TORC_NEWER);
}

/* Sizes whose sum leaves 32 bits are not believed. */
Test(wire, envelope_sizes_do_not_wrap)
{
    uint8_t message[EXAMPLE_SIZE];
    write_example(message);
    base_put_le32(message + 8, UINT32_MAX);
    base_put_le32(message + 12, EXAMPLE_SIZE - WIRE_ENVELOPE_SIZE + 1);
    cr_assert_eq(read_bytes(message, EXAMPLE_SIZE), TORC_MALFORMED);
}

/* Body and payload that stand in place already are left there. */
Test(wire, envelope_written_around_its_content)
{
    uint8_t message[EXAMPLE_SIZE], in_place[EXAMPLE_SIZE];
    write_example(message);
    struct wire_envelope envelope = example();
    uint8_t *at = in_place + WIRE_ENVELOPE_SIZE;
    memcpy(at, body, envelope.body.size);
    memcpy(at + envelope.body.size, payload, envelope.payload.size);
    envelope.body.data = at;
    envelope.payload.data = at + envelope.body.size;
    wire_envelope_write(&envelope, in_place);
    cr_assert_eq(memcmp(message, in_place, EXAMPLE_SIZE), 0);
}

/* Neither body nor payload is needed; every type passes and has a name. */
Test(wire, envelope_of_every_type_may_be_empty)
{
    static const enum wire_type types[] = {
#define WIRE_TYPE_VALUE(name, number) name,
        WIRE_TYPE_LIST(WIRE_TYPE_VALUE)
#undef WIRE_TYPE_VALUE
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct wire_envelope envelope = {.type = types[i]};
        uint8_t message[WIRE_ENVELOPE_SIZE];
        wire_envelope_write(&envelope, message);
        cr_assert_eq(read_bytes(message, sizeof(message)), TORC_OK);
        cr_assert_str_neq(wire_type_name(types[i]), "unknown");
    }
    struct wire_envelope unknown = {.type = (enum wire_type)200};
    uint8_t message[WIRE_ENVELOPE_SIZE];
    wire_envelope_write(&unknown, message);
    cr_assert_eq(read_bytes(message, sizeof(message)), TORC_MALFORMED);
    cr_assert_str_eq(wire_type_name(unknown.type), "unknown");
}

/* A head that no version of the protocol writes is refused though its checksum is right. */
Test(wire, envelope_with_an_impossible_head_is_refused)
{
    static const struct {
        size_t at;
        uint8_t byte;
    } changes[] = {{4, 0}, {5, 0}, {6, 1}, {7, 1}};
    uint8_t right[WIRE_ENVELOPE_SIZE], message[WIRE_ENVELOPE_SIZE];
    struct wire_envelope empty = {.type = WIRE_TYPE_REQUEST};
    wire_envelope_write(&empty, right);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const size_t checksum = WIRE_ENVELOPE_SIZE - 8;
        memcpy(message, right, sizeof(message));
        for (int changed = 0; changed < 2; changed++) {
            uint64_t head = base_hash(base_bytes_of(message, checksum));
            base_put_le64(message + checksum, base_hash_seeded(base_bytes_of(NULL, 0), head));
            cr_assert_eq(read_bytes(message, sizeof(message)), changed ? TORC_MALFORMED : TORC_OK,
                         "change %zu", i);
            message[changes[i].at] = changes[i].byte;
        }
    }
}

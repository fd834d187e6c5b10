#include "wire/body.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/counting.h"

enum { ARENA_SIZE_MAX = 64 << 10 };

static enum torc_status read_body(struct wire_arena *arena, enum wire_type type, const void *bytes,
                                  size_t size, const ProtobufCMessage **ret_body)
{
    struct wire_envelope envelope = {.type = type, .body = base_bytes_of(bytes, size)};
    return wire_body_read(arena, &envelope, ret_body);
}

/* A map comes out as it was packed. */
Test(wire, body_reads_what_was_packed)
{
    Torc__Wire__Node node = TORC__WIRE__NODE__INIT;
    node.id = 7;
    node.address = "tcp://127.0.0.1:7401";
    Torc__Wire__Node *nodes[] = {&node};
    Torc__Wire__Map map = TORC__WIRE__MAP__INIT;
    map.version = 3;
    map.n_nodes = 1;
    map.nodes = nodes;
    Torc__Wire__MapReply reply = TORC__WIRE__MAP_REPLY__INIT;
    reply.map = &map;
    uint8_t packed[256];
    size_t size = torc__wire__map_reply__pack(&reply, packed);

    struct wire_arena *arena = wire_arena_new(base_allocator_system(), ARENA_SIZE_MAX);
    const ProtobufCMessage *body;
    cr_assert_eq(read_body(arena, WIRE_TYPE_MAP, packed, size, &body), TORC_OK);
    const Torc__Wire__MapReply *found = (const Torc__Wire__MapReply *)body;
    cr_assert_eq(found->map->version, 3);
    cr_assert_eq(found->map->n_nodes, 1);
    cr_assert_eq(found->map->nodes[0]->id, 7);
    cr_assert_str_eq(found->map->nodes[0]->address, "tcp://127.0.0.1:7401");
    wire_arena_free(arena);
    wire_arena_free(NULL);
}

/* Each type has the body that the schema says. */
Test(wire, body_of_each_type)
{
    static const struct {
        enum wire_type type;
        const char *name;
    } bodies[] = {{WIRE_TYPE_CONSENSUS, "torc.wire.Consensus"},
                  {WIRE_TYPE_REQUEST, "torc.wire.Request"},
                  {WIRE_TYPE_REPLY, "torc.wire.Reply"},
                  {WIRE_TYPE_HELLO, "torc.wire.Hello"},
                  {WIRE_TYPE_WELCOME, "torc.wire.Welcome"},
                  {WIRE_TYPE_MAP_REQUEST, "torc.wire.MapRequest"},
                  {WIRE_TYPE_MAP, "torc.wire.MapReply"},
                  {WIRE_TYPE_INIT, "torc.wire.Init"},
                  {WIRE_TYPE_PLACE, "torc.wire.Place"},
                  {WIRE_TYPE_RESULT, "torc.wire.Result"},
                  {WIRE_TYPE_STATUS_REQUEST, "torc.wire.StatusRequest"},
                  {WIRE_TYPE_STATUS, "torc.wire.StatusReply"},
                  {WIRE_TYPE_TRANSACTION, "torc.wire.Transaction"}};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        cr_assert_str_eq(wire_body_descriptor(bodies[i].type)->name, bodies[i].name);
}

/* What a newer sender says beyond what is known here is kept and passed on. */
Test(wire, body_keeps_unknown_fields)
{
    static const uint8_t packed[] = {0x08, 0x05, 0xfa, 0x3e, 0x03, 'n', 'e', 'w'}; /* 1: 5, 1007 */
    struct wire_arena *arena = wire_arena_new(base_allocator_system(), ARENA_SIZE_MAX);
    const ProtobufCMessage *body;
    cr_assert_eq(read_body(arena, WIRE_TYPE_STATUS_REQUEST, packed, sizeof(packed), &body),
                 TORC_OK);
    uint8_t again[sizeof(packed)];
    cr_assert_eq(protobuf_c_message_get_packed_size(body), sizeof(packed));
    protobuf_c_message_pack(body, again);
    cr_assert_eq(memcmp(again, packed, sizeof(packed)), 0);
    wire_arena_free(arena);
}

/* Nonsense is an error, and the arena goes on. */
Test(wire, body_that_is_malformed_is_refused)
{
    static const uint8_t cut[] = {0x0a, 0x20, 0x01}, good[] = {0x08, 0x01};
    struct counting counting;
    struct wire_arena *arena = wire_arena_new(counting_init(&counting), ARENA_SIZE_MAX);
    const ProtobufCMessage *body = NULL;
    cr_assert_eq(read_body(arena, WIRE_TYPE_CONSENSUS, cut, sizeof(cut), &body), TORC_MALFORMED);
    cr_assert_null(body);
    cr_assert_eq(read_body(arena, WIRE_TYPE_REQUEST, good, sizeof(good), &body), TORC_OK);
    wire_arena_free(arena);
    counting_fini(&counting);
}

/* Two bytes a submessage on the wire: what they would unpack to is bounded, and said. */
Test(wire, body_that_unpacks_to_more_than_the_arena_holds_is_refused)
{
    enum { SUBMESSAGES = 4000 };
    static uint8_t packed[2 * SUBMESSAGES];
    for (size_t i = 0; i < SUBMESSAGES; i++)
        packed[2 * i] = 0x0a; /* Field 1, an empty message. */
    struct counting counting;
    struct wire_arena *arena = wire_arena_new(counting_init(&counting), ARENA_SIZE_MAX);
    const ProtobufCMessage *body = NULL;
    cr_assert_eq(read_body(arena, WIRE_TYPE_CONSENSUS, packed, sizeof(packed), &body),
                 TORC_TOO_LARGE);
    cr_assert_leq(counting.bytes_peak, ARENA_SIZE_MAX + 1024);
    cr_assert_eq(read_body(arena, WIRE_TYPE_CONSENSUS, packed, 20, &body), TORC_OK);
    cr_assert_eq(((const Torc__Wire__Consensus *)body)->n_messages, 10);
    wire_arena_free(arena);
    counting_fini(&counting);
}

/* One field that is larger than all that an arena may hold. */
Test(wire, body_with_a_field_larger_than_the_arena_is_refused)
{
    static char text[2 * ARENA_SIZE_MAX];
    static uint8_t packed[sizeof(text) + 64];
    memset(text, 'x', sizeof(text) - 1);
    Torc__Wire__Result result = TORC__WIRE__RESULT__INIT;
    result.text = text;
    size_t size = torc__wire__result__pack(&result, packed);
    struct counting counting;
    struct wire_arena *arena = wire_arena_new(counting_init(&counting), ARENA_SIZE_MAX);
    const ProtobufCMessage *body;
    cr_assert_eq(read_body(arena, WIRE_TYPE_RESULT, packed, size, &body), TORC_TOO_LARGE);
    text[10] = '\0';
    size = torc__wire__result__pack(&result, packed);
    cr_assert_eq(read_body(arena, WIRE_TYPE_RESULT, packed, size, &body), TORC_OK);
    wire_arena_free(arena);
    counting_fini(&counting);
}

/* The same messages again and again take no more memory, and no call for it. */
Test(wire, body_steady_load_allocates_nothing)
{
    enum { SUBMESSAGES = 150 };
    static uint8_t packed[2 * SUBMESSAGES];
    for (size_t i = 0; i < SUBMESSAGES; i++)
        packed[2 * i] = 0x0a;
    struct counting counting;
    struct wire_arena *arena = wire_arena_new(counting_init(&counting), ARENA_SIZE_MAX);
    const ProtobufCMessage *body;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(read_body(arena, WIRE_TYPE_CONSENSUS, packed, sizeof(packed), &body), TORC_OK);
    uint64_t calls = counting.call_count;
    for (int i = 0; i < 10; i++)
        cr_assert_eq(read_body(arena, WIRE_TYPE_CONSENSUS, packed, sizeof(packed), &body), TORC_OK);
    cr_assert_eq(counting.call_count, calls);
    wire_arena_free(arena);
    counting_fini(&counting);
}

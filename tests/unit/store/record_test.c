#include "store/record.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "base/bytes.h"
#include "base/hash.h"

static struct store_record full_record(void)
{
    return (struct store_record){.kind = STORE_RECORD_ENTRY,
                                 .tag = 7,
                                 .group = 0x01020304,
                                 .replica = 0x1112131415161718,
                                 .slot = 0x2122232425262728,
                                 .ballot = {0x3132333435363738, 0x41424344, 0x51525354},
                                 .origin = {0x6162636465666768, 0x71727374, 0x81828384},
                                 .payload = base_bytes_text("payload")};
}

/* Every field comes back as it was written, and the payload's size with it. */
Test(record, decode_gives_back_what_encode_took)
{
    struct store_record in = full_record();
    struct store_record out;
    uint8_t header[STORE_RECORD_HEADER_SIZE];
    uint32_t size;
    uint64_t hash;
    store_record_encode(&in, header);
    cr_assert_eq(store_record_decode(header, &out, &size, &hash), TORC_OK);
    cr_assert_eq(size, 7);
    cr_assert_eq(out.kind, in.kind);
    cr_assert_eq(out.tag, in.tag);
    cr_assert_eq(out.group, in.group);
    cr_assert_eq(out.replica, in.replica);
    cr_assert_eq(out.slot, in.slot);
    cr_assert(base_ballot_equal(out.ballot, in.ballot));
    cr_assert(base_ballot_equal(out.origin, in.origin));
}

/* No bit of a header can change without being noticed. */
Test(record, any_flipped_bit_is_malformed)
{
    struct store_record in = full_record();
    struct store_record out;
    uint8_t header[STORE_RECORD_HEADER_SIZE];
    uint32_t size;
    uint64_t hash;
    store_record_encode(&in, header);
    for (size_t bit = 0; bit < 8 * sizeof header; bit++) {
        header[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(store_record_decode(header, &out, &size, &hash), TORC_MALFORMED, "bit %zu",
                     bit);
        header[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static enum torc_status decode(const uint8_t *header)
{
    struct store_record out;
    uint32_t size;
    uint64_t hash;
    return store_record_decode(header, &out, &size, &hash);
}

static void encode(enum store_record_kind kind, uint64_t slot, uint64_t round,
                   struct base_bytes payload, uint8_t *header)
{
    const struct store_record record = {.kind = kind,
                                        .group = 5,
                                        .replica = 6,
                                        .slot = slot,
                                        .ballot = {.round = round},
                                        .payload = payload};
    store_record_encode(&record, header);
}

/* Changes a byte of a header whose hash is made right again. */
static void forge(uint8_t *header, size_t at, uint8_t byte)
{
    header[at] = byte;
    base_put_le64(header, base_hash(base_bytes_of(header + 8, STORE_RECORD_HEADER_SIZE - 8)));
}

enum { AT_PAYLOAD_SIZE = 16, AT_KIND = 20, AT_ZERO = 22, AT_REPLICA = 32, AT_SLOT = 40 };
enum { AT_ROUND = 48, AT_ZERO_LAST = 76 };

/* Each kind as it is written, under a right hash and with one field that it cannot have. */
Test(record, kinds_have_only_their_own_fields)
{
    static const struct {
        enum store_record_kind kind;
        uint64_t slot, round;
        size_t at; /* Of the byte that spoils it. */
        uint8_t byte;
    } cases[] = {
        {STORE_RECORD_REPLICA, 0, 0, AT_SLOT, 1},
        {STORE_RECORD_PROMISE, 0, 3, AT_SLOT, 1},
        {STORE_RECORD_PROMISE, 0, 3, AT_PAYLOAD_SIZE, 1},
        {STORE_RECORD_PROMISE, 0, 3, AT_ROUND, 0},
        {STORE_RECORD_ENTRY, 4, 3, AT_SLOT, 0},
        {STORE_RECORD_ENTRY, 4, 3, AT_ROUND, 0},
        {STORE_RECORD_LEARNED, 4, 0, AT_SLOT, 0},
        {STORE_RECORD_MARK, 4, 0, AT_SLOT, 0},
        {STORE_RECORD_MARK, 4, 0, AT_PAYLOAD_SIZE, 1},
        {STORE_RECORD_DROP, 0, 0, AT_SLOT, 1},
        {STORE_RECORD_DROP, 0, 0, AT_PAYLOAD_SIZE, 1},
        {STORE_RECORD_DAMAGE, 4, 3, AT_PAYLOAD_SIZE, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t header[STORE_RECORD_HEADER_SIZE];
        encode(cases[i].kind, cases[i].slot, cases[i].round, base_bytes_of(NULL, 0), header);
        cr_assert_eq(decode(header), TORC_OK, "case %zu", i);
        forge(header, cases[i].at, cases[i].byte);
        cr_assert_eq(decode(header), TORC_MALFORMED, "case %zu", i);
    }
}

/* Nothing stands where zeroes must, no kind outside the list, and no replica 0, whatever the hash.
 */
Test(record, fields_out_of_range_are_malformed)
{
    static const struct {
        size_t at;
        uint8_t byte;
    } cases[] = {{AT_KIND, 0},
                 {AT_KIND, STORE_RECORD_DAMAGE + 1},
                 {AT_ZERO, 1},
                 {AT_ZERO_LAST, 1},
                 {AT_REPLICA, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t header[STORE_RECORD_HEADER_SIZE];
        encode(STORE_RECORD_ENTRY, 4, 3, base_bytes_text("payload"), header);
        forge(header, AT_KIND, STORE_RECORD_ENTRY);
        cr_assert_eq(decode(header), TORC_OK);
        forge(header, cases[i].at, cases[i].byte);
        cr_assert_eq(decode(header), TORC_MALFORMED, "case %zu", i);
    }
}

/* A record of no kind is not written. */
Test(record, encode_asserts_on_no_kind, .signal = SIGABRT)
{
    uint8_t header[STORE_RECORD_HEADER_SIZE];
    encode((enum store_record_kind)(STORE_RECORD_DAMAGE + 1), 0, 0, base_bytes_of(NULL, 0), header);
}

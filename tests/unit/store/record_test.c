#include "store/record.h"

#include <criterion/criterion.h>

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

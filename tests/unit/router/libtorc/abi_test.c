/*
 * What programs that were compiled against router/torc.h rely on without being asked: where members
 * of structs lie, how large structs are, and the numbers of constants. A change here needs another
 * SONAME; what comes behind the last member, or is a new number, does not.
 */
#include "router/torc.h"

#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " has another size")
#define AT(type, member, offset)                                                                   \
    _Static_assert(offsetof(struct type, member) == (offset), #type "." #member " lies elsewhere")
#define IS(name, number) _Static_assert((name) == (number), #name " is another number")

#if defined(__LP64__)
SIZE(torc_bytes, 16);
AT(torc_bytes, data, 0);
AT(torc_bytes, size, 8);

SIZE(torc_options, 56);
AT(torc_options, struct_size, 0);
AT(torc_options, cluster, 8);
AT(torc_options, seeds, 16);
AT(torc_options, seed_count, 24);
AT(torc_options, completion, 32);
AT(torc_options, timeout_ms, 36);
AT(torc_options, inflight_max, 40);
AT(torc_options, inflight_size_max, 48);

SIZE(torc_counters, 64);
AT(torc_counters, calls, 0);
AT(torc_counters, happened, 8);
AT(torc_counters, did_not_happen, 16);
AT(torc_counters, unknown, 24);
AT(torc_counters, refused, 32);
AT(torc_counters, copies, 40);
AT(torc_counters, leader_changes, 48);
AT(torc_counters, inflight, 56);

SIZE(torc_write, 64);
AT(torc_write, struct_size, 0);
AT(torc_write, condition, 8);
AT(torc_write, version, 16);
AT(torc_write, value, 24);
AT(torc_write, expiry, 40);
AT(torc_write, expiry_ms, 48);
AT(torc_write, flags, 56);

SIZE(torc_call_options, 24);
AT(torc_call_options, struct_size, 0);
AT(torc_call_options, timeout_ms, 8);
AT(torc_call_options, consistency, 12);
AT(torc_call_options, staleness_ms, 16);

SIZE(torc_result, 48);
AT(torc_result, kind, 0);
AT(torc_result, status, 4);
AT(torc_result, number, 8);
AT(torc_result, version, 16);
AT(torc_result, expiry_ms, 24);
AT(torc_result, bytes, 32);

SIZE(torc_scan_options, 24);
AT(torc_scan_options, struct_size, 0);
AT(torc_scan_options, start, 8);
AT(torc_scan_options, page, 16);
AT(torc_scan_options, timeout_ms, 20);
#endif

IS(TORC_OK, 0);
IS(TORC_INVALID, 2);
IS(TORC_NO_MEMORY, 3);
IS(TORC_TOO_LARGE, 5);
IS(TORC_NOT_FOUND, 6);
IS(TORC_BUSY, 10);
IS(TORC_TIMEOUT, 11);
IS(TORC_UNKNOWN, 12);
IS(TORC_IO, 13);
IS(TORC_UNSUPPORTED, 18);
IS(TORC_CONDITION, 19);
IS(TORC_CLOSED, 20);
IS(TORC_HAPPENED, 1);
IS(TORC_DID_NOT_HAPPEN, 2);
IS(TORC_OUTCOME_UNKNOWN, 3);
IS(TORC_COMPLETE_ON_THREAD, 0);
IS(TORC_COMPLETE_BY_DISPATCH, 1);
IS(TORC_TEXT_SIZE, 256);
IS(TORC_IF_ALWAYS, 0);
IS(TORC_IF_ABSENT, 1);
IS(TORC_IF_PRESENT, 2);
IS(TORC_IF_VERSION, 3);
IS(TORC_IF_VALUE, 4);
IS(TORC_IF_NO_EXPIRY, 5);
IS(TORC_IF_EXPIRY, 6);
IS(TORC_IF_LATER, 7);
IS(TORC_IF_EARLIER, 8);
IS(TORC_IF_EXPIRY_EARLIER, 9);
IS(TORC_EXPIRY_NONE, 0);
IS(TORC_EXPIRY_KEEP, 1);
IS(TORC_EXPIRY_RELATIVE, 2);
IS(TORC_EXPIRY_ABSOLUTE, 3);
IS(TORC_RETURN_OLD, 1);
IS(TORC_RANGE_BITS, 1);
IS(TORC_RANGE_NO_END, 2);
IS(TORC_READ_QUORUM, 0);
IS(TORC_READ_LEASE, 1);
IS(TORC_READ_STALE, 2);
IS(TORC_RESULT_NONE, 0);
IS(TORC_RESULT_NUMBER, 1);
IS(TORC_RESULT_BYTES, 2);

int main(void)
{
    return 0; /* It compiled. */
}

#include "store/kv.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "store/kv_int.h"
#include "store/sim_kv.h"

static enum torc_status write_stale(struct store_kv *kv, const struct store_batch *batch)
{
    (void)kv;
    (void)batch;
    return TORC_STALE;
}

/* An implementation that answers what the header does not list is wrong, and is stopped. */
Test(store, kv_asserts_on_a_status_that_is_not_listed, .signal = SIGABRT)
{
    static const struct store_kv_table table = {.write = write_stale};
    struct store_kv kv = {.table = &table};
    struct store_batch *batch = store_batch_new(base_allocator_system());
    cr_assert_eq(store_kv_write(&kv, batch), TORC_STALE);
}

/* No key is empty, whatever the implementation. */
Test(store, kv_asserts_on_an_empty_key, .signal = SIGABRT)
{
    struct store_kv *kv = store_sim_kv_new(base_allocator_system(), 1);
    struct store_value value;
    cr_assert_eq(store_kv_get(kv, NULL, base_bytes_of(NULL, 0), &value), TORC_NOT_FOUND);
}

/* A value is released once. */
Test(store, kv_asserts_on_a_second_release, .signal = SIGABRT)
{
    struct store_value value = {0};
    store_value_release(&value);
}

/* What was never made can be ended. */
Test(store, kv_takes_null_where_something_ends)
{
    struct store_kv *kv = store_sim_kv_new(base_allocator_system(), 1);
    store_snapshot_release(kv, NULL);
    store_iterator_free(NULL);
    store_batch_free(NULL);
    store_kv_close(NULL);
    store_kv_close(kv);
}

/*
 * store/kv_int -- what an implementation of store/kv.h gives: a table of its operations.
 *
 * For store/kv.c and the implementations only (store/sim_kv.c, store/driver/rocks.c). Each
 * operation keeps the promise of the function of that name in store/kv.h.
 */
#ifndef TORC_STORE_KV_INT_H
#define TORC_STORE_KV_INT_H

#include "store/kv.h"

struct store_kv_table {
    enum torc_status (*get)(struct store_kv *kv, const struct store_snapshot *snapshot,
                            struct base_bytes key, struct store_value *ret_value);
    enum torc_status (*get_flushed)(struct store_kv *kv, struct base_bytes key,
                                    struct store_value *ret_value);
    enum torc_status (*write)(struct store_kv *kv, const struct store_batch *batch);
    struct store_snapshot *(*snapshot)(struct store_kv *kv);
    void (*snapshot_release)(struct store_kv *kv, struct store_snapshot *snapshot);
    struct store_iterator *(*iterate)(struct store_kv *kv, const struct store_snapshot *snapshot,
                                      struct base_bytes first, struct base_bytes end);
    enum torc_status (*iterator_next)(struct store_iterator *iterator, struct base_bytes *ret_key,
                                      struct base_bytes *ret_value);
    void (*iterator_free)(struct store_iterator *iterator);
    void (*flush)(struct store_kv *kv);
    size_t (*unflushed_size)(struct store_kv *kv);
    void (*close)(struct store_kv *kv);
};

/* The first member of every implementation's store and iterator. */
struct store_kv {
    const struct store_kv_table *table;
};

struct store_iterator {
    const struct store_kv_table *table;
};

#endif /* TORC_STORE_KV_INT_H */

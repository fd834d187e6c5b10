#include "store/sim_kv.h"

#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "store/kv_int.h"

enum { HEIGHT_MAX = 16, PPM = 1000000 };

/* What a batch left at a key. Versions that readers hold outlive their place in the chain. */
struct sim_version {
    struct sim_kv *kv;
    struct sim_version *older;
    uint64_t batch;
    uint32_t references; /* The chain's, and one for each value given out. */
    bool deleted;
    size_t size;
    uint8_t bytes[];
};

struct sim_node {
    struct sim_version *newest; /* Invariant: batch numbers fall strictly along the chain. */
    struct sim_node *stale_next;
    bool stale; /* In the list of nodes that have something to drop after a flush. */
    uint32_t height;
    struct base_bytes key;   /* Behind the links. */
    struct sim_node *next[]; /* By level. */
};

struct store_snapshot {
    struct store_snapshot *previous, *next; /* Oldest first. */
    uint64_t batch;
};

struct sim_kv {
    struct store_kv kv; /* First. */
    const struct base_allocator *allocator;
    struct base_prng prng;
    struct store_sim_kv_faults faults;
    struct store_sim_kv_counters counters;
    struct sim_node *first[HEIGHT_MAX];
    struct sim_node *stale;
    struct store_snapshot *oldest, *newest;
    /* Batches: flushed <= asked <= written; and the bytes written up to each of them. */
    uint64_t flushed, asked, written;
    uint64_t flushed_bytes, asked_bytes, written_bytes;
    size_t values_out, iterators_out;
    bool is_rotten;
    size_t rot_first_size, rot_end_size; /* Of the two keys in rot. */
    uint8_t *rot;
};

struct sim_iterator {
    struct store_iterator iterator; /* First. */
    struct sim_kv *kv;
    struct store_snapshot *own; /* Released with the iterator; NULL over somebody's snapshot. */
    uint64_t batch;
    struct base_bytes first, end; /* Copies behind the struct. */
    struct sim_node *at;          /* The last given; NULL before the first. */
    bool ended_early;
};

/* ---- Versions -----------------------------------------------------------------------------------
 */

static void version_unref(struct sim_version *version)
{
    TORC_ASSERT(version->references > 0);
    if (--version->references == 0)
        base_free(version->kv->allocator, version, sizeof(*version) + version->size);
}

static void version_push(struct sim_kv *kv, struct sim_node *node, struct base_bytes value)
{
    struct sim_version *version = base_alloc(kv->allocator, sizeof(*version) + value.size);
    *version = (struct sim_version){.kv = kv,
                                    .older = node->newest,
                                    .batch = kv->written,
                                    .references = 1,
                                    .deleted = value.data == NULL,
                                    .size = value.size};
    if (value.size > 0)
        memcpy(version->bytes, value.data, value.size);
    TORC_ASSERT(version->older == NULL || version->older->batch < version->batch);
    node->newest = version;
}

/* What a reader at `batch` sees; NULL: nothing. */
static struct sim_version *version_at(const struct sim_node *node, uint64_t batch)
{
    struct sim_version *version = node->newest;
    while (version != NULL && version->batch > batch)
        version = version->older;
    return version == NULL || version->deleted ? NULL : version;
}

static void versions_drop(struct sim_version *version)
{
    while (version != NULL) {
        struct sim_version *older = version->older;
        version_unref(version);
        version = older;
    }
}

/* Every reader and every crash sees at least this batch. */
static uint64_t horizon(const struct sim_kv *kv)
{
    return kv->oldest != NULL && kv->oldest->batch < kv->flushed ? kv->oldest->batch : kv->flushed;
}

/* Drops what no reader and no crash can see any more. */
static void node_trim(const struct sim_kv *kv, struct sim_node *node)
{
    struct sim_version *version = node->newest;
    while (version != NULL && version->batch > horizon(kv))
        version = version->older;
    if (version != NULL) {
        versions_drop(version->older);
        version->older = NULL;
    }
}

/* ---- The skip list ------------------------------------------------------------------------------
 */

/* The link at `level` that leads out of `before` (NULL: the head). */
static struct sim_node **link_of(struct sim_kv *kv, struct sim_node *before, uint32_t level)
{
    return before == NULL ? &kv->first[level] : &before->next[level];
}

/* The first node at or after the key. ret_links, if not NULL, gets the link to it at each level. */
static struct sim_node *list_seek(struct sim_kv *kv, struct base_bytes key,
                                  struct sim_node **ret_links[HEIGHT_MAX])
{
    struct sim_node *before = NULL;
    for (uint32_t level = HEIGHT_MAX; level-- > 0;) {
        struct sim_node *node = *link_of(kv, before, level);
        while (node != NULL && base_bytes_compare(node->key, key) < 0) {
            before = node;
            node = node->next[level];
        }
        if (ret_links != NULL)
            ret_links[level] = link_of(kv, before, level);
    }
    return *link_of(kv, before, 0);
}

static struct sim_node *list_find(struct sim_kv *kv, struct base_bytes key)
{
    struct sim_node *node = list_seek(kv, key, NULL);
    return node != NULL && base_bytes_equal(node->key, key) ? node : NULL;
}

static size_t node_size(uint32_t height, size_t key_size)
{
    return sizeof(struct sim_node) + height * sizeof(struct sim_node *) + key_size;
}

static struct sim_node *list_insert(struct sim_kv *kv, struct base_bytes key)
{
    struct sim_node **links[HEIGHT_MAX];
    struct sim_node *node = list_seek(kv, key, links);
    if (node != NULL && base_bytes_equal(node->key, key))
        return node;
    uint32_t height = 1;
    while (height < HEIGHT_MAX && base_prng_chance(&kv->prng, 1, 4))
        height++;
    node = base_alloc(kv->allocator, node_size(height, key.size));
    uint8_t *key_copy = (uint8_t *)&node->next[height];
    memcpy(key_copy, key.data, key.size);
    *node = (struct sim_node){.height = height, .key = base_bytes_of(key_copy, key.size)};
    for (uint32_t level = 0; level < height; level++) {
        node->next[level] = *links[level];
        *links[level] = node;
    }
    return node;
}

static void list_remove(struct sim_kv *kv, struct sim_node *node)
{
    struct sim_node **links[HEIGHT_MAX];
    TORC_ASSERT(list_seek(kv, node->key, links) == node);
    for (uint32_t level = 0; level < node->height; level++)
        *links[level] = node->next[level];
    versions_drop(node->newest);
    base_free(kv->allocator, node, node_size(node->height, node->key.size));
}

/* Whether the key is gone for every reader and every crash. */
static bool node_is_dead(const struct sim_kv *kv, const struct sim_node *node)
{
    return node->newest == NULL || (node->newest->deleted && node->newest->batch <= horizon(kv));
}

static void stale_push(struct sim_kv *kv, struct sim_node *node)
{
    node->stale = true;
    node->stale_next = kv->stale;
    kv->stale = node;
}

/* Goes through the nodes that had more than one version or a deletion. */
static void stale_sweep(struct sim_kv *kv)
{
    struct sim_node *node = kv->stale;
    kv->stale = NULL;
    while (node != NULL) {
        struct sim_node *next = node->stale_next;
        node_trim(kv, node);
        node->stale = false;
        if (node_is_dead(kv, node))
            list_remove(kv, node);
        else if (node->newest->older != NULL || node->newest->deleted)
            stale_push(kv, node);
        node = next;
    }
}

/* ---- Rot ----------------------------------------------------------------------------------------
 */

static void rot_clear(struct sim_kv *kv)
{
    if (kv->is_rotten)
        base_free(kv->allocator, kv->rot, kv->rot_first_size + kv->rot_end_size + 1);
    kv->is_rotten = false;
}

void store_sim_kv_rot(struct store_kv *store, struct base_bytes first, struct base_bytes end)
{
    struct sim_kv *kv = (struct sim_kv *)store;
    rot_clear(kv);
    kv->is_rotten = true;
    kv->rot_first_size = first.size;
    kv->rot_end_size = end.size;
    kv->rot = base_alloc(kv->allocator, first.size + end.size + 1);
    if (first.size > 0)
        memcpy(kv->rot, first.data, first.size);
    if (end.size > 0)
        memcpy(kv->rot + first.size, end.data, end.size);
}

static bool is_rotten(const struct sim_kv *kv, struct base_bytes key)
{
    return kv->is_rotten &&
           base_bytes_compare(key, base_bytes_of(kv->rot, kv->rot_first_size)) >= 0 &&
           (kv->rot_end_size == 0 ||
            base_bytes_compare(key, base_bytes_of(kv->rot + kv->rot_first_size, kv->rot_end_size)) <
                0);
}

/* ---- Reading ------------------------------------------------------------------------------------
 */

static struct sim_kv *sim_of(struct store_kv *kv)
{
    return (struct sim_kv *)kv;
}

static void sim_value_release(void *handle)
{
    struct sim_version *version = handle;
    TORC_ASSERT(version->kv->values_out > 0);
    version->kv->values_out--;
    version_unref(version);
}

static enum torc_status get_at(struct sim_kv *kv, uint64_t batch, struct base_bytes key,
                               struct store_value *ret_value)
{
    struct sim_node *node = list_find(kv, key);
    struct sim_version *version = node == NULL ? NULL : version_at(node, batch);
    if (version == NULL)
        return TORC_NOT_FOUND;
    version->references++;
    kv->values_out++;
    *ret_value = (struct store_value){.bytes = base_bytes_of(version->bytes, version->size),
                                      .release = sim_value_release,
                                      .handle = version};
    return TORC_OK;
}

static enum torc_status sim_get(struct store_kv *kv, const struct store_snapshot *snapshot,
                                struct base_bytes key, struct store_value *ret_value)
{
    return get_at(sim_of(kv), snapshot == NULL ? sim_of(kv)->written : snapshot->batch, key,
                  ret_value);
}

static enum torc_status sim_get_flushed(struct store_kv *kv, struct base_bytes key,
                                        struct store_value *ret_value)
{
    return get_at(sim_of(kv), sim_of(kv)->flushed, key, ret_value);
}

static struct store_snapshot *sim_snapshot(struct store_kv *store)
{
    struct sim_kv *kv = sim_of(store);
    struct store_snapshot *snapshot = base_alloc(kv->allocator, sizeof(*snapshot));
    *snapshot = (struct store_snapshot){.previous = kv->newest, .batch = kv->written};
    if (kv->newest != NULL)
        kv->newest->next = snapshot;
    else
        kv->oldest = snapshot;
    kv->newest = snapshot;
    return snapshot;
}

static void sim_snapshot_release(struct store_kv *store, struct store_snapshot *snapshot)
{
    struct sim_kv *kv = sim_of(store);
    if (snapshot->previous != NULL)
        snapshot->previous->next = snapshot->next;
    else
        kv->oldest = snapshot->next;
    if (snapshot->next != NULL)
        snapshot->next->previous = snapshot->previous;
    else
        kv->newest = snapshot->previous;
    base_free(kv->allocator, snapshot, sizeof(*snapshot));
}

static struct store_iterator *sim_iterate(struct store_kv *store,
                                          const struct store_snapshot *snapshot,
                                          struct base_bytes first, struct base_bytes end)
{
    struct sim_kv *kv = sim_of(store);
    struct sim_iterator *iterator =
        base_alloc(kv->allocator, sizeof(*iterator) + first.size + end.size);
    uint8_t *copies = (uint8_t *)(iterator + 1);
    if (first.size > 0)
        memcpy(copies, first.data, first.size);
    if (end.size > 0)
        memcpy(copies + first.size, end.data, end.size);
    *iterator = (struct sim_iterator){.iterator = {.table = store->table},
                                      .kv = kv,
                                      .first = base_bytes_of(copies, first.size),
                                      .end = base_bytes_of(copies + first.size, end.size)};
    if (snapshot == NULL)
        snapshot = iterator->own = sim_snapshot(store);
    iterator->batch = snapshot->batch;
    kv->iterators_out++;
    return &iterator->iterator;
}

static enum torc_status sim_iterator_next(struct store_iterator *handle, struct base_bytes *ret_key,
                                          struct base_bytes *ret_value)
{
    struct sim_iterator *iterator = (struct sim_iterator *)handle;
    struct sim_kv *kv = iterator->kv;
    if (!iterator->ended_early && kv->faults.iterator_end_ppm > 0)
        iterator->ended_early = base_prng_chance(&kv->prng, kv->faults.iterator_end_ppm, PPM);
    if (iterator->ended_early)
        return TORC_DAMAGED;
    /* The node last given cannot be gone: the snapshot sees it. */
    struct sim_node *node =
        iterator->at != NULL ? iterator->at->next[0] : list_seek(kv, iterator->first, NULL);
    while (node != NULL && version_at(node, iterator->batch) == NULL)
        node = node->next[0];
    if (node == NULL ||
        (iterator->end.size > 0 && base_bytes_compare(node->key, iterator->end) >= 0))
        return TORC_NOT_FOUND;
    struct sim_version *version = version_at(node, iterator->batch);
    iterator->ended_early = is_rotten(kv, node->key) && version->batch <= kv->flushed;
    if (iterator->ended_early) {
        kv->counters.rotten++;
        return TORC_DAMAGED;
    }
    iterator->at = node;
    *ret_key = node->key;
    *ret_value = base_bytes_of(version->bytes, version->size);
    return TORC_OK;
}

static void sim_iterator_free(struct store_iterator *handle)
{
    struct sim_iterator *iterator = (struct sim_iterator *)handle;
    struct sim_kv *kv = iterator->kv;
    if (iterator->own != NULL)
        sim_snapshot_release(&kv->kv, iterator->own);
    TORC_ASSERT(kv->iterators_out > 0);
    kv->iterators_out--;
    base_free(kv->allocator, iterator,
              sizeof(*iterator) + iterator->first.size + iterator->end.size);
}

/* ---- Writing ------------------------------------------------------------------------------------
 */

static enum torc_status sim_write(struct store_kv *store, const struct store_batch *batch)
{
    struct sim_kv *kv = sim_of(store);
    if (kv->faults.write_full) {
        kv->counters.full++;
        return TORC_FULL;
    }
    if (kv->faults.write_busy_ppm > 0 &&
        base_prng_chance(&kv->prng, kv->faults.write_busy_ppm, PPM))
        return TORC_BUSY;
    kv->written++;
    kv->written_bytes += store_batch_size(batch);
    struct base_bytes key, value;
    for (size_t cursor = 0; store_batch_next(batch, &cursor, &key, &value);) {
        struct sim_node *node = list_insert(kv, key);
        version_push(kv, node, value);
        node_trim(kv, node);
        if (!node->stale && (node->newest->older != NULL || node->newest->deleted))
            stale_push(kv, node);
    }
    return TORC_OK;
}

void store_sim_kv_flush_end(struct store_kv *store)
{
    struct sim_kv *kv = sim_of(store);
    if (kv->flushed == kv->asked)
        return; /* Nothing more can go than went when it ended. */
    kv->flushed = kv->asked;
    kv->flushed_bytes = kv->asked_bytes;
    stale_sweep(kv);
}

static void sim_flush(struct store_kv *store)
{
    struct sim_kv *kv = sim_of(store);
    kv->asked = kv->written;
    kv->asked_bytes = kv->written_bytes;
    if (!kv->faults.flush_waits)
        store_sim_kv_flush_end(store);
}

static size_t sim_unflushed_size(struct store_kv *kv)
{
    return (size_t)(sim_of(kv)->written_bytes - sim_of(kv)->flushed_bytes);
}

uint64_t store_sim_kv_unflushed_batches(const struct store_kv *store)
{
    const struct sim_kv *kv = (const struct sim_kv *)store;
    return kv->written - kv->flushed;
}

static void assert_unused(const struct sim_kv *kv)
{
    TORC_ASSERT(kv->values_out == 0);
    TORC_ASSERT(kv->iterators_out == 0);
    TORC_ASSERT(kv->oldest == NULL);
}

void store_sim_kv_crash(struct store_kv *store, uint64_t keep_batches)
{
    struct sim_kv *kv = sim_of(store);
    assert_unused(kv);
    TORC_ASSERT(keep_batches <= store_sim_kv_unflushed_batches(store));
    kv->written = kv->asked = kv->flushed = kv->flushed + keep_batches;
    kv->written_bytes = kv->asked_bytes = kv->flushed_bytes;
    kv->stale = NULL;
    for (struct sim_node *node = kv->first[0]; node != NULL;) {
        struct sim_node *next = node->next[0];
        while (node->newest != NULL && node->newest->batch > kv->written) {
            struct sim_version *lost = node->newest;
            node->newest = lost->older;
            version_unref(lost);
        }
        node_trim(kv, node);
        node->stale = false;
        if (node_is_dead(kv, node))
            list_remove(kv, node);
        node = next;
    }
}

/* ---- Life ---------------------------------------------------------------------------------------
 */

static void sim_close(struct store_kv *store)
{
    struct sim_kv *kv = sim_of(store);
    assert_unused(kv);
    while (kv->first[0] != NULL)
        list_remove(kv, kv->first[0]);
    rot_clear(kv);
    base_free(kv->allocator, kv, sizeof(*kv));
}

static const struct store_kv_table sim_table = {.get = sim_get,
                                                .get_flushed = sim_get_flushed,
                                                .write = sim_write,
                                                .snapshot = sim_snapshot,
                                                .snapshot_release = sim_snapshot_release,
                                                .iterate = sim_iterate,
                                                .iterator_next = sim_iterator_next,
                                                .iterator_free = sim_iterator_free,
                                                .flush = sim_flush,
                                                .unflushed_size = sim_unflushed_size,
                                                .close = sim_close};

struct store_kv *store_sim_kv_new(const struct base_allocator *allocator, uint64_t seed)
{
    struct sim_kv *kv = base_alloc_zero(allocator, sizeof(*kv));
    kv->kv.table = &sim_table;
    kv->allocator = allocator;
    kv->prng = base_prng_seeded(seed);
    return &kv->kv;
}

void store_sim_kv_faults_set(struct store_kv *kv, struct store_sim_kv_faults faults)
{
    TORC_ASSERT(faults.iterator_end_ppm <= PPM);
    TORC_ASSERT(faults.write_busy_ppm <= PPM);
    sim_of(kv)->faults = faults;
}

struct store_sim_kv_counters store_sim_kv_counters(const struct store_kv *kv)
{
    return ((const struct sim_kv *)kv)->counters;
}

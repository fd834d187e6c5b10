/*
 * base/alloc -- the allocator that is handed to every core, and growable arrays over it.
 *
 * Cores take memory only from here, so that a test can count it and a simulator can place it.
 * Running out of memory ends the process by policy (DESIGN section 3): no call returns NULL, and no
 * protocol has an out-of-memory branch. What must be bounded has a named limit instead.
 */
#ifndef TORC_BASE_ALLOC_H
#define TORC_BASE_ALLOC_H

#include <stddef.h>

struct base_allocator {
    /* Like realloc: old NULL allocates, size 0 frees and returns NULL. Never fails. */
    void *(*resize)(void *context, void *old, size_t old_size, size_t size);
    void *context;
};

/* The process's heap (malloc); ends the process when it is exhausted. Static, thread-safe. */
const struct base_allocator *base_allocator_system(void);

/* Uninitialised memory of `size` > 0 bytes; freed by base_free with the same size. */
void *base_alloc(const struct base_allocator *allocator, size_t size);
/* The same, filled with zeroes. */
void *base_alloc_zero(const struct base_allocator *allocator, size_t size);
/* NULL is a no-op. `size` is what was allocated. */
void base_free(const struct base_allocator *allocator, void *memory, size_t size);

/*
 * Makes room for at least `count` items in an array of *capacity items: returns the array, moved or
 * not, and updates *capacity (doubling). Items keep their bytes; new ones are uninitialised.
 */
void *base_array_reserve(const struct base_allocator *allocator, void *items, size_t *capacity,
                         size_t count, size_t item_size);
/* Frees such an array and sets *capacity to 0. */
void base_array_free(const struct base_allocator *allocator, void *items, size_t *capacity,
                     size_t item_size);

#endif /* TORC_BASE_ALLOC_H */

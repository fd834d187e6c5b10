#include "shard/waiting.h"

#include <string.h>

#include "base/assert.h"

enum { WAITING_KEPT_MAX = 1 << 20 }; /* Memory. */

void shard_waiting_fini(struct shard_waiting *waiting)
{
    base_array_free(waiting->allocator, waiting->bytes, &waiting->capacity, 1);
    waiting->bytes = NULL;
    waiting->first = waiting->end = 0;
}

bool shard_waiting_add(struct shard_waiting *waiting, struct base_bytes request)
{
    size_t size = waiting->end - waiting->first;
    if (size > 0 && size + request.size > SHARD_WAITING_MAX)
        return false;
    if (waiting->first > 0) {
        memmove(waiting->bytes, waiting->bytes + waiting->first, size);
        waiting->first = 0;
        waiting->end = size;
    }
    waiting->bytes = base_array_reserve(waiting->allocator, waiting->bytes, &waiting->capacity,
                                        size + request.size, 1);
    memcpy(waiting->bytes + size, request.data, request.size);
    waiting->end += request.size;
    return true;
}

void shard_waiting_drop(struct shard_waiting *waiting, size_t size)
{
    waiting->first += size;
    TORC_ASSERT(waiting->first <= waiting->end);
    if (waiting->first < waiting->end)
        return;
    waiting->first = waiting->end = 0;
    if (waiting->capacity > WAITING_KEPT_MAX)
        shard_waiting_fini(waiting);
}

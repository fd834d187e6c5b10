/* All requests by deadline: a binary heap, since every call of a client library has its own. */
#include "router/courier_int.h"

#include "base/assert.h"

static bool ends_before(const struct router_request *a, const struct router_request *b)
{
    return a->deadline_us != b->deadline_us ? a->deadline_us < b->deadline_us
                                            : a->serial < b->serial;
}

static void place(struct router_courier *courier, struct router_request *request, size_t rank)
{
    courier->deadlines[rank] = request;
    request->deadline_rank = rank;
}

/* Finds the place of a request for which there is room at `rank`: towards the top, */
static size_t rise(struct router_courier *courier, const struct router_request *request,
                   size_t rank)
{
    while (rank > 0 && ends_before(request, courier->deadlines[(rank - 1) / 2])) {
        place(courier, courier->deadlines[(rank - 1) / 2], rank);
        rank = (rank - 1) / 2;
    }
    return rank;
}

/* or away from it. */
static size_t sink(struct router_courier *courier, const struct router_request *request,
                   size_t rank)
{
    for (size_t child = 2 * rank + 1; child < courier->request_count; child = 2 * rank + 1) {
        if (child + 1 < courier->request_count &&
            ends_before(courier->deadlines[child + 1], courier->deadlines[child]))
            child++;
        if (!ends_before(courier->deadlines[child], request))
            break;
        place(courier, courier->deadlines[child], rank);
        rank = child;
    }
    return rank;
}

void router_deadlines_add(struct router_courier *courier, struct router_request *request)
{
    courier->deadlines =
        base_array_reserve(courier->allocator, courier->deadlines, &courier->deadline_capacity,
                           courier->request_count + 1, sizeof(struct router_request *));
    place(courier, request, rise(courier, request, courier->request_count++));
}

void router_deadlines_remove(struct router_courier *courier, struct router_request *request)
{
    size_t rank = request->deadline_rank;
    TORC_ASSERT(courier->deadlines[rank] == request);
    struct router_request *last = courier->deadlines[--courier->request_count];
    if (last == request)
        return;
    rank = rise(courier, last, rank);
    place(courier, last, sink(courier, last, rank));
}

void router_deadlines_check(const struct router_courier *courier)
{
    for (size_t i = 0; i < courier->request_count; i++) {
        const struct router_request *request = courier->deadlines[i];
        TORC_ASSERT(request->deadline_rank == i);
        TORC_ASSERT(i == 0 || !ends_before(request, courier->deadlines[(i - 1) / 2]));
    }
}

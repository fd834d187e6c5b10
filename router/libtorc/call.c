#include "router/libtorc/call.h"

#include <string.h>

#include "base/assert.h"

struct libtorc_call *libtorc_call_new(struct base_bytes ops, uint16_t op_count)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct libtorc_call *call = base_alloc_zero(allocator, sizeof(*call));
    call->op_count = op_count;
    call->ops_size = ops.size;
    if (ops.size > 0) {
        call->ops = base_alloc(allocator, ops.size);
        memcpy(call->ops, ops.data, ops.size);
    }
    return call;
}

void libtorc_call_free(struct libtorc_call *call)
{
    const struct base_allocator *allocator = base_allocator_system();
    TORC_ASSERT(call->next == NULL);
    torc_reply_free(call->reply);
    base_free(allocator, call->ops, call->ops_size);
    base_free(allocator, call, sizeof(*call));
}

void libtorc_list_append(struct libtorc_list *list, struct libtorc_call *call)
{
    TORC_ASSERT(call->next == NULL);
    if (list->last != NULL)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
}

struct libtorc_call *libtorc_list_take(struct libtorc_list *list)
{
    struct libtorc_call *call = list->first;
    if (call == NULL)
        return NULL;
    list->first = call->next;
    if (list->first == NULL)
        list->last = NULL;
    call->next = NULL;
    return call;
}

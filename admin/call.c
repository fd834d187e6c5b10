#include "admin/call.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "net/call.h"

enum { CALL_ADDRESS_SIZE = 128 };

struct admin_caller {
    struct wire_id cluster;
    struct net_client *client; /* To `address`; NULL: none yet. */
    char address[CALL_ADDRESS_SIZE];
};

struct admin_caller *admin_caller_new(const struct wire_id *cluster)
{
    struct admin_caller *caller = base_alloc_zero(base_allocator_system(), sizeof(*caller));
    caller->cluster = *cluster;
    return caller;
}

void admin_caller_free(struct admin_caller *caller)
{
    if (caller == NULL)
        return;
    net_client_close(caller->client);
    base_free(base_allocator_system(), caller, sizeof(*caller));
}

/* Keeps the connection while the address stays the same. */
static enum torc_status caller_connect(struct admin_caller *caller, const char *address)
{
    if (caller->client != NULL && strcmp(caller->address, address) == 0)
        return TORC_OK;
    net_client_close(caller->client);
    caller->client = NULL;
    snprintf(caller->address, sizeof(caller->address), "%s", address);
    return net_client_open(address, &caller->cluster, &caller->client);
}

enum torc_status admin_caller_ask(struct admin_caller *caller,
                                  const struct admin_question *question,
                                  struct wire_envelope *ret_answer)
{
    const ProtobufCMessage *body;
    enum torc_status status = caller_connect(caller, question->address);
    if (status != TORC_OK)
        return status;
    return net_client_call(caller->client, question->type, question->body, question->payload,
                           question->answer_type, question->timeout_ms, ret_answer, &body);
}

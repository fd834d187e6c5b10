/*
 * Moves money from one account to another: both or neither, and only if both accounts are there.
 * The keys have a common tag, the part in braces, so they belong to one shard: that is cheaper.
 */
#include <inttypes.h>
#include <stdbool.h>

#include "example.h"

static const char *const alice = "{bank}alice";
static const char *const bob = "{bank}bob";

/* False: nothing was moved, since an account is missing. */
static bool transfer(struct torc *torc, const char *from, const char *to, int64_t amount)
{
    const struct torc_write there = {.struct_size = sizeof(there), .condition = TORC_IF_PRESENT};
    struct torc_request *request = torc_request_new();
    torc_request_check(request, torc_text(from), &there);
    torc_request_check(request, torc_text(to), &there);
    torc_request_add(request, torc_text(from), -amount);
    torc_request_add(request, torc_text(to), amount);
    struct torc_reply *reply = torc_call(torc, request, NULL);
    bool moved = torc_reply_status(reply) != TORC_CONDITION;
    if (moved) {
        example_happened("transfer", reply);
        printf("moved %" PRId64 ": %s has %" PRId64 ", %s has %" PRId64 "\n", amount, from,
               torc_reply_result(reply, 2)->number, to, torc_reply_result(reply, 3)->number);
    }
    torc_reply_free(reply);
    torc_request_free(request);
    return moved;
}

static void deposit(struct torc *torc, const char *account, int64_t amount)
{
    struct torc_reply *reply = torc_add(torc, torc_text(account), amount, NULL);
    example_happened("deposit", reply);
    torc_reply_free(reply);
}

int main(int argc, char **argv)
{
    struct torc *torc = example_open(argc, argv, TORC_COMPLETE_ON_THREAD);
    deposit(torc, alice, 100);
    bool early = transfer(torc, alice, bob, 30); /* There is no Bob yet. */
    deposit(torc, bob, 5);
    bool late = transfer(torc, alice, bob, 30);
    torc_close(torc);
    return !early && late ? 0 : 1;
}

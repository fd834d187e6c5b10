/*
 * Many calls at once from a program with a loop of its own: completions are told by a descriptor
 * that the loop waits for, and their functions run on the loop's thread.
 */
#include <inttypes.h>
#include <poll.h>

#include "example.h"

enum { CALLS = 1000, WINDOW = 64 };

struct work {
    struct torc *torc;
    struct torc_request *request;
    int begun, ended, failed;
};

static void on_added(void *context, const struct torc_reply *reply);

/* Keeps a window of calls under way. */
static void go_on(struct work *work)
{
    while (work->begun < CALLS && work->begun - work->ended < WINDOW) {
        if (torc_submit(work->torc, work->request, NULL, on_added, work) != TORC_OK)
            return; /* Busy: there will be room when another one has ended. */
        work->begun++;
    }
}

static void on_added(void *context, const struct torc_reply *reply)
{
    struct work *work = context;
    work->ended++;
    work->failed += torc_reply_outcome(reply) != TORC_HAPPENED;
    go_on(work);
}

int main(int argc, char **argv)
{
    struct work work = {.torc = example_open(argc, argv, TORC_COMPLETE_BY_DISPATCH),
                        .request = torc_request_new()};
    struct pollfd wait = {.fd = torc_fd(work.torc), .events = POLLIN};
    torc_request_add(work.request, torc_text("visits"), 1);
    go_on(&work);
    while (work.ended < CALLS && poll(&wait, 1, -1 /* for ever */) >= 0)
        torc_dispatch(work.torc, 0);
    struct torc_reply *reply = torc_get(work.torc, torc_text("visits"), NULL);
    example_happened("get", reply);
    const struct torc_result *result = torc_reply_result(reply, 0);
    printf("visits: %.*s, failed: %d\n", (int)result->bytes.size, (const char *)result->bytes.data,
           work.failed);
    torc_reply_free(reply);
    torc_request_free(work.request);
    torc_close(work.torc);
    return work.failed == 0 ? 0 : 1;
}

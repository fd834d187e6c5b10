#include "router/libtorc/driver/io.h"

#include <criterion/criterion.h>

struct turns {
    struct libtorc_io *io;
    int taken, done;
    enum torc_status status;
};

/* The first turn gets a call, the second finds the handle closed. */
static bool on_take(void *context, struct libtorc_list *ret_calls)
{
    struct turns *turns = context;
    uint8_t ops[64];
    const struct wire_op get = {.type = WIRE_OP_GET, .key = base_bytes_text("key")};
    *ret_calls = (struct libtorc_list){NULL, NULL};
    if (turns->taken++ > 0)
        return false;
    struct libtorc_call *call =
        libtorc_call_new(base_bytes_of(ops, wire_op_write(ops, sizeof(ops), &get)), 1);
    call->deadline_us = UINT64_MAX / 2;
    libtorc_list_append(ret_calls, call);
    libtorc_io_wake(turns->io);
    return true;
}

static void on_done(void *context, struct libtorc_call *call)
{
    struct turns *turns = context;
    turns->done++;
    turns->status = torc_reply_status(call->reply);
    libtorc_call_free(call);
}

static void on_turned(void *context, uint64_t copies, uint64_t leader_changes)
{
    (void)context;
    cr_assert(copies == 0 && leader_changes == 0);
}

/* Turns are taken until there is an end of calls; what is under way then is told. */
Test(libtorc_io, runs_until_there_is_no_more, .timeout = 20)
{
    static const char *const seeds[] = {"tcp://127.0.0.1:1"};
    struct turns turns = {.io = NULL};
    char text[TORC_TEXT_SIZE];
    struct libtorc_io_config config = {.cluster = {{1}},
                                       .seeds = seeds,
                                       .seed_count = 1,
                                       .timeout_ms = 1000,
                                       .inflight_max = 10,
                                       .inflight_size_max = 1000,
                                       .take = on_take,
                                       .done = on_done,
                                       .turned = on_turned,
                                       .context = &turns};
    cr_assert_eq(libtorc_io_new(&config, text, &turns.io), TORC_OK);
    libtorc_io_run(turns.io);
    cr_assert(turns.taken == 2 && turns.done == 1 && turns.status == TORC_CLOSED);
    libtorc_io_free(turns.io);
    libtorc_io_free(NULL);
}

/* Time goes on. */
Test(libtorc_io, time_goes_on)
{
    uint64_t first = libtorc_io_now_us();
    cr_assert_geq(libtorc_io_now_us(), first);
}

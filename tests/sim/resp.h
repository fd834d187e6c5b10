/*
 * tests/sim/resp -- RESP as a client speaks it: commands written, replies read. Written apart from
 * router/resp.c and router/reply.c, so that a mistake there is not made here as well.
 */
#ifndef TORC_TESTS_SIM_RESP_H
#define TORC_TESTS_SIM_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct resp_out {
    uint8_t bytes[16384];
    size_t size;
};

void resp_command(struct resp_out *out, size_t arg_count); /* Then so many resp_arg. */
void resp_arg(struct resp_out *out, struct base_bytes arg);
void resp_arg_text(struct resp_out *out, const char *text);
void resp_arg_number(struct resp_out *out, int64_t number);

struct resp_reply {
    char type;               /* '+', '-', ':', '$', '*' */
    bool nil;                /* Of '$' and '*'. */
    int64_t number;          /* Of ':'; of '*': how many elements follow. */
    struct base_bytes bytes; /* Of '+', '-' and '$'; of '*': all elements, encoded. */
};

enum resp_status { RESP_WHOLE = 1, RESP_MORE, RESP_BROKEN };

/* The first reply in `bytes`, and the bytes that it takes. */
enum resp_status resp_read(struct base_bytes bytes, struct resp_reply *ret_reply, size_t *ret_size);
bool resp_begins(struct base_bytes bytes, const char *text);

#endif /* TORC_TESTS_SIM_RESP_H */

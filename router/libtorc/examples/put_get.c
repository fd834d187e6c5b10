/*
 * Writes a key and reads it back.
 *
 *     put_get CLUSTER SEED...
 *
 * CLUSTER is the cluster's id, as `torc-admin status` shows it; the seeds are addresses of some of
 * its nodes, "tcp://127.0.0.1:7401".
 */
#include <inttypes.h>
#include <stdio.h>

#include <torc.h>

static int fail(const char *what, const struct torc_reply *reply)
{
    fprintf(stderr, "%s: %s (%s)\n", what, torc_status_text(torc_reply_status(reply)),
            torc_reply_text(reply));
    return 1;
}

static int put_and_get(struct torc *torc)
{
    struct torc_reply *reply = torc_put(torc, torc_text("colour"), torc_text("green"), NULL, NULL);
    if (torc_reply_status(reply) != TORC_OK)
        return fail("put", reply);
    printf("written as version %" PRIu64 "\n", torc_reply_result(reply, 0)->version);
    torc_reply_free(reply);

    reply = torc_get(torc, torc_text("colour"), NULL);
    if (torc_reply_status(reply) != TORC_OK)
        return fail("get", reply);
    const struct torc_result *result = torc_reply_result(reply, 0);
    printf("colour is %.*s\n", (int)result->bytes.size, (const char *)result->bytes.data);
    torc_reply_free(reply);

    reply = torc_delete(torc, torc_text("colour"), NULL, NULL);
    if (torc_reply_outcome(reply) != TORC_HAPPENED)
        return fail("delete", reply);
    torc_reply_free(reply);
    return 0;
}

int main(int argc, char **argv)
{
    char text[TORC_TEXT_SIZE];
    struct torc *torc;
    if (argc < 3) {
        fprintf(stderr, "usage: put_get CLUSTER SEED...\n");
        return 2;
    }
    struct torc_options options = {.struct_size = sizeof(options),
                                   .cluster = argv[1],
                                   .seeds = (const char *const *)&argv[2],
                                   .seed_count = (size_t)argc - 2};
    if (torc_open(&options, text, &torc) != TORC_OK) {
        fprintf(stderr, "open: %s\n", text);
        return 1;
    }
    int code = put_and_get(torc);
    torc_close(torc);
    return code;
}

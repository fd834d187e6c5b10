/*
 * Changes a value only if nobody else has: read it with its version, write on condition that the
 * version is still the same, begin again if it is not. Two programs that do this at the same time
 * lose nothing.
 */
#include <inttypes.h>
#include <string.h>

#include "example.h"

enum { TRIES_MAX = 100, TEXT_SIZE = 256 };

/* Appends a word to the list under `key`. */
static int add_word(struct torc *torc, const char *key, const char *word)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        char list[TEXT_SIZE];
        struct torc_reply *reply = torc_get(torc, torc_text(key), NULL);
        example_happened("get", reply);
        const struct torc_result *old = torc_reply_result(reply, 0);
        int size = snprintf(list, sizeof(list), "%.*s%s ", (int)old->bytes.size,
                            old->bytes.size > 0 ? (const char *)old->bytes.data : "", word);
        /* An absent key has a version too, so this also holds for the first word. */
        struct torc_write write = {
            .struct_size = sizeof(write), .condition = TORC_IF_VERSION, .version = old->version};
        torc_reply_free(reply);
        reply = torc_put(torc, torc_text(key), torc_bytes(list, (size_t)size), &write, NULL);
        enum torc_status status = torc_reply_status(reply);
        torc_reply_free(reply);
        if (status == TORC_OK)
            return 0;
        if (status != TORC_CONDITION) {
            fprintf(stderr, "put: %s\n", torc_status_text(status));
            return 1;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct torc *torc = example_open(argc, argv, TORC_COMPLETE_ON_THREAD);
    int code = add_word(torc, "words", "one") + add_word(torc, "words", "two");
    struct torc_reply *reply = torc_get(torc, torc_text("words"), NULL);
    example_happened("get", reply);
    const struct torc_result *result = torc_reply_result(reply, 0);
    printf("words: %.*s\n", (int)result->bytes.size, (const char *)result->bytes.data);
    torc_reply_free(reply);
    torc_close(torc);
    return code;
}

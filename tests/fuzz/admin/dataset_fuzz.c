/* Any bytes as a data set: refused with the line, or taken apart into keys that are within the
 * limits, unique, and lie with their values in the text. */
#include "admin/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(const uint8_t *text, size_t size, struct base_bytes part)
{
    return part.data >= text && part.data + part.size <= text + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct admin_dataset dataset;
    size_t line = 0;
    uint8_t *text = malloc(size + 1);
    TORC_ASSERT(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    if (admin_dataset_parse(text, size, &dataset, &line) != NULL) {
        TORC_ASSERT(line <= size);
        free(text);
        return 0;
    }
    TORC_ASSERT(dataset.count > 0);
    for (size_t i = 0; i < dataset.count; i++) {
        const struct admin_pair *pair = &dataset.pairs[i];
        TORC_ASSERT(pair->key.size >= 1 && pair->key.size <= 4096);
        TORC_ASSERT(inside(text, size, pair->key) && inside(text, size, pair->value));
        for (size_t j = 0; j < i && i < 64; j++)
            TORC_ASSERT(!base_bytes_equal(dataset.pairs[j].key, pair->key));
    }
    admin_dataset_free(&dataset);
    return 0;
}

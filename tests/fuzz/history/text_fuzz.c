/* Any bytes as the text of histories: refused or read, and what is read is written and read again.
 */
#include "tests/history/text.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct history_set set;
    struct history_set again;
    struct history_text text = {.allocator = allocator};
    history_set_init(&set, allocator);
    history_set_init(&again, allocator);
    size_t line = 0;
    bool read = history_text_read(&set, base_bytes_of(data, size), &line) == TORC_OK;
    TORC_ASSERT(read || line > 0);
    for (size_t k = 0; k < set.count; k++) {
        for (size_t i = 0; i < set.histories[k].count; i++)
            history_text_write(&text, history_set_key(&set, k), &set.histories[k],
                               &set.histories[k].ops[i]);
    }
    struct base_bytes written = base_bytes_of(text.data, text.size);
    TORC_ASSERT(history_text_read(&again, written, &line) == TORC_OK);
    TORC_ASSERT(again.count == set.count);
    history_text_fini(&text);
    history_set_fini(&again);
    history_set_fini(&set);
    return 0;
}

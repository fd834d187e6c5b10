/*
 * tests/history:check FILE... -- are the histories in these files linearizable, key by key?
 *
 *   bazel run //tests/history:check -- "$PWD/history.txt"
 *
 * All files together are one history. Prints a report for each key that is not linearizable or
 * undecided, then a summary. Exits with 0 when all keys are, 1 when one is not, 2 when one is
 * undecided (and none is bad), 3 when a file cannot be read. The format is in text.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/history/text.h"

static bool read_file(struct history_set *set, const char *name)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (file == NULL) {
        perror(name);
        return false;
    }
    const struct base_allocator *allocator = base_allocator_system();
    size_t capacity = 0;
    uint8_t *data = NULL;
    size_t size = 0;
    size_t got;
    do {
        data = base_array_reserve(allocator, data, &capacity, size + (1 << 16), 1);
        got = fread(data + size, 1, 1 << 16, file);
        size += got;
    } while (got > 0);
    bool read = ferror(file) == 0;
    if (!read)
        perror(name);
    if (file != stdin)
        fclose(file);
    size_t line = 0;
    if (read && history_text_read(set, base_bytes_of(data, size), &line) != TORC_OK) {
        fprintf(stderr, "%s:%zu: not an operation of a history (tests/history/text.h)\n", name,
                line);
        read = false;
    }
    base_array_free(allocator, data, &capacity, 1);
    return read;
}

static enum history_answer check_key(struct history_set *set, size_t place)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct history_bounds bounds = history_bounds_default();
    struct history *history = &set->histories[place];
    struct history_verdict verdict;
    history_check(allocator, &history_string_model, history, &bounds, &verdict);
    if (verdict.answer != HISTORY_LINEARIZABLE) {
        struct history_text text = {.allocator = allocator};
        history_text_report(&text, history_set_key(set, place), history, &verdict);
        fputs(text.data, stdout);
        history_text_fini(&text);
    }
    enum history_answer answer = verdict.answer;
    history_verdict_fini(&verdict, allocator);
    return answer;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: check FILE... (- is standard input)\n");
        return 3;
    }
    struct history_set set;
    history_set_init(&set, base_allocator_system());
    bool read = true;
    for (int i = 1; i < argc && read; i++)
        read = read_file(&set, argv[i]);
    size_t counts[4] = {0};
    for (size_t place = 0; read && place < set.count; place++)
        counts[check_key(&set, place)]++;
    history_set_fini(&set);
    if (!read)
        return 3;
    printf("keys: %zu linearizable, %zu not, %zu undecided\n", counts[HISTORY_LINEARIZABLE],
           counts[HISTORY_VIOLATION], counts[HISTORY_UNDECIDED]);
    if (counts[HISTORY_VIOLATION] > 0)
        return 1;
    return counts[HISTORY_UNDECIDED] > 0 ? 2 : 0;
}

#include "admin/dataset.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/scratch.h"

static struct admin_dataset dataset;

static const char *parse(const char *text, size_t *ret_line)
{
    uint8_t *copy = (uint8_t *)strdup(text);
    const char *flaw = admin_dataset_parse(copy, strlen(text), &dataset, ret_line);
    if (flaw != NULL)
        free(copy);
    return flaw;
}

static void expect_pair(size_t i, const char *key, const char *value)
{
    cr_assert(base_bytes_equal(dataset.pairs[i].key, base_bytes_text(key)));
    cr_assert(base_bytes_equal(dataset.pairs[i].value, base_bytes_text(value)), "%s", key);
}

/* Lines of pairs: the first TAB divides, blank lines are nothing, the last end of line may lack. */
Test(dataset, lines_of_pairs)
{
    size_t line;
    cr_assert_null(parse("\na\t1\n\nb\tx\ty\nc\t", &line));
    cr_assert_eq(dataset.count, 3);
    expect_pair(0, "a", "1");
    expect_pair(1, "b", "x\ty");
    expect_pair(2, "c", "");
    cr_assert_eq(dataset.bytes, 3 + 1 + 3);
    admin_dataset_free(&dataset);
}

/* Stanzas: the key is in the first line, the value is the block without its last line end. */
Test(dataset, stanzas)
{
    size_t line;
    cr_assert_null(
        parse("\n\nPackage: a\nVersion: 1\n text\tx\n\n\nPackage: b\nVersion: 2", &line));
    cr_assert_eq(dataset.count, 2);
    expect_pair(0, "a", "Package: a\nVersion: 1\n text\tx");
    expect_pair(1, "b", "Package: b\nVersion: 2");
    admin_dataset_free(&dataset);
}

/* A key that comes again has one pair, with its last value. */
Test(dataset, the_last_value_of_a_key_counts)
{
    size_t line;
    cr_assert_null(parse("a\t1\nb\t2\na\t3\nb\t4\na\t5\n", &line));
    cr_assert_eq(dataset.count, 2);
    expect_pair(0, "a", "5");
    expect_pair(1, "b", "4");
    admin_dataset_free(&dataset);
}

/* Many keys, each twice: compared with what was written. */
Test(dataset, many_keys_are_united)
{
    enum { KEYS = 5000 };
    char *text;
    size_t size, line;
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; i < 2 * KEYS; i++)
        fprintf(out, "key%d\t%d\n", i % KEYS, i);
    fclose(out);
    cr_assert_null(admin_dataset_parse((uint8_t *)text, size, &dataset, &line));
    cr_assert_eq(dataset.count, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        char key[16], value[16];
        snprintf(key, sizeof(key), "key%zu", i);
        snprintf(value, sizeof(value), "%zu", i + KEYS);
        expect_pair(i, key, value);
    }
    admin_dataset_free(&dataset);
}

/* What cannot be read is refused with the number of its line. */
Test(dataset, flaws_have_their_line)
{
    size_t line = 0;
    cr_assert_str_eq(parse("a\t1\nb 2\n", &line), "there is no TAB between key and value");
    cr_assert_eq(line, 2);
    cr_assert_str_eq(parse("a\t1\n\t2\n", &line), "the key is empty");
    cr_assert_eq(line, 2);
    cr_assert_not_null(parse("Package: a\n\nnonsense\n", &line));
    cr_assert_eq(line, 3);
    cr_assert_str_eq(parse("", &line), "there are no keys");
    cr_assert_str_eq(parse("\n\n", &line), "there are no keys");
}

/* A file that is not there is refused, one that is there is read and named. */
Test(dataset, files_are_read)
{
    char dir[SCRATCH_PATH_SIZE], path[SCRATCH_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/pairs", scratch_make(dir));
    scratch_write(dir, "pairs", "k\tv\n");
    cr_assert_eq(admin_dataset_read_file(path, &dataset), 0);
    cr_assert_str_eq(dataset.source, path);
    expect_pair(0, "k", "v");
    admin_dataset_free(&dataset);
    scratch_remove(dir);
    cr_assert_eq(admin_dataset_read_file(path, &dataset), 2);
}

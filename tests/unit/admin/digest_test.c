#include "admin/digest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

static char dir[SCRATCH_PATH_SIZE], path[SCRATCH_PATH_SIZE + 16];
static struct admin_dataset dataset;
static struct admin_digest digest;

static void set_up(void)
{
    size_t line;
    snprintf(path, sizeof(path), "%s/load.digest", scratch_make(dir));
    static const char text[] = "a\t1\nb b\t\nc\tlonger value\n";
    cr_assert_null(admin_dataset_parse((uint8_t *)strdup(text), sizeof(text) - 1, &dataset, &line));
    snprintf(dataset.source, sizeof(dataset.source), "some file");
}

static void tear_down(void)
{
    scratch_remove(dir);
    admin_dataset_free(&dataset);
    admin_digest_free(&digest);
}

/* What is written is read back, with its state and source. */
TEST_BODY(digest, written_is_read_back, set_up, tear_down)
{
    cr_assert_eq(admin_digest_read(path, &digest), 0);
    cr_assert_eq(digest.state, ADMIN_DIGEST_NONE);
    cr_assert_eq(admin_digest_write(path, ADMIN_DIGEST_LOADING, &dataset), 0);
    cr_assert_eq(admin_digest_read(path, &digest), 0);
    cr_assert_eq(digest.state, ADMIN_DIGEST_LOADING);
    cr_assert_str_eq(digest.source, "some file");
    cr_assert_eq(digest.count, 3);
    cr_assert(base_bytes_equal(digest.entries[1].key, base_bytes_text("b b")));
    cr_assert_eq(digest.entries[2].hash, base_hash(base_bytes_text("longer value")));
    cr_assert(admin_digest_matches(&digest, &dataset));
    admin_digest_free(&digest);
    cr_assert_eq(admin_digest_write(path, ADMIN_DIGEST_LOADED, &dataset), 0);
    cr_assert_eq(admin_digest_read(path, &digest), 0);
    cr_assert_eq(digest.state, ADMIN_DIGEST_LOADED);
}

/* A data set with another value, key or count is not the one recorded. */
TEST_BODY(digest, another_data_set_does_not_match, set_up, tear_down)
{
    cr_assert_eq(admin_digest_write(path, ADMIN_DIGEST_LOADED, &dataset), 0);
    cr_assert_eq(admin_digest_read(path, &digest), 0);
    struct admin_pair kept = dataset.pairs[1];
    dataset.pairs[1].value = base_bytes_text("x");
    cr_assert(!admin_digest_matches(&digest, &dataset));
    dataset.pairs[1] = kept;
    dataset.pairs[1].key = base_bytes_text("x");
    cr_assert(!admin_digest_matches(&digest, &dataset));
    dataset.pairs[1] = kept;
    dataset.count--;
    cr_assert(!admin_digest_matches(&digest, &dataset));
    dataset.count++;
}

/* A file that was cut anywhere is refused, never read as fewer keys. */
TEST_BODY(digest, a_cut_file_is_refused, set_up, tear_down)
{
    cr_assert_eq(admin_digest_write(path, ADMIN_DIGEST_LOADED, &dataset), 0);
    FILE *in = fopen(path, "r");
    char text[256];
    size_t size = fread(text, 1, sizeof(text), in);
    fclose(in);
    for (size_t cut = 0; cut < size; cut++) {
        FILE *out = fopen(path, "w");
        fwrite(text, 1, cut, out);
        fclose(out);
        cr_assert_eq(admin_digest_read(path, &digest), 2, "cut to %zu", cut);
    }
    FILE *out = fopen(path, "w");
    fwrite(text, 1, size, out);
    fputs("0123456789abcdef\tmore\n", out);
    fclose(out);
    cr_assert_eq(admin_digest_read(path, &digest), 2);
}

#include "admin/load.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/hash.h"

/* What needs a cluster is in tests/cluster/dev_test: loading, and finding what differs or is gone.
 * Nobody listens at this address. */
static const char *const nobody[] = {"tcp://127.0.0.1:1"};
static const struct admin_load_target target = {
    .cluster = "00112233445566778899aabbccddeeff", .seeds = nobody, .seed_count = 1};

static struct admin_dataset dataset_of(const char *lines)
{
    struct admin_dataset dataset;
    size_t line, size = strlen(lines);
    uint8_t *text = malloc(size + 1);
    memcpy(text, lines, size + 1);
    cr_assert_null(admin_dataset_parse(text, size, &dataset, &line));
    return dataset;
}

/* A request to stop ends a load at once, although nobody answers. */
Test(load, stops_when_asked, .timeout = 10)
{
    struct admin_dataset dataset = dataset_of("a\tone\nb\ttwo\n");
    struct admin_load_result result;
    volatile sig_atomic_t stop = 1;
    cr_assert_eq(admin_load_run(&target, &dataset, &stop, &result), 1);
    admin_dataset_free(&dataset);
}

/* A target that is none is an error, for loading and for checking. */
Test(load, a_wrong_target_is_an_error, .timeout = 10)
{
    struct admin_load_target wrong = target;
    struct admin_dataset dataset = dataset_of("a\tone\n");
    struct admin_digest_entry entry = {dataset.pairs[0].key, base_hash(dataset.pairs[0].value)};
    struct admin_digest digest = {
        .state = ADMIN_DIGEST_LOADED, .source = "pairs", .count = 1, .entries = &entry};
    struct admin_load_result result;
    volatile sig_atomic_t stop = 0;
    wrong.cluster = "not an id";
    cr_assert_eq(admin_load_run(&wrong, &dataset, &stop, &result), 1);
    cr_assert_eq(admin_load_check(&wrong, &digest, 1), 1);
    admin_dataset_free(&dataset);
}

/* A check that nobody answers ends, and is an error. */
Test(load, nobody_there_is_an_error, .timeout = 60)
{
    struct admin_dataset dataset = dataset_of("a\tone\n");
    struct admin_digest_entry entry = {dataset.pairs[0].key, base_hash(dataset.pairs[0].value)};
    struct admin_digest digest = {
        .state = ADMIN_DIGEST_LOADED, .source = "pairs", .count = 1, .entries = &entry};
    cr_assert_eq(admin_load_check(&target, &digest, 1), 1);
    admin_dataset_free(&dataset);
}

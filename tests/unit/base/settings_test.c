#include "base/settings.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

struct config {
    bool insecure;
    uint64_t timeout_ms, cache, pause_ms;
    char *listen;
    struct base_settings_list seeds;
    int level;
    uint8_t cluster[BASE_SETTINGS_ID_SIZE];
};

static const char *address_check(const char *text)
{
    return strncmp(text, "tcp://", 6) == 0 ? NULL : "an address such as tcp://127.0.0.1:7401";
}

static const char *const levels[] = {"debug", "info", "warn", NULL};

#define AT(field) offsetof(struct config, field)
static const struct base_settings_item items[] = {
    {"insecure", BASE_SETTINGS_BOOL, 0, 0, "false", AT(insecure), "Listens anywhere.", NULL, NULL},
    {"election_timeout_ms", BASE_SETTINGS_INTEGER, 50, 60000, "300", AT(timeout_ms),
     "Milliseconds.", NULL, NULL},
    {"state.cache_size", BASE_SETTINGS_SIZE, 1024, UINT64_C(1) << 40, "64MiB", AT(cache), "Cache.",
     NULL, NULL},
    {"state.pause", BASE_SETTINGS_DURATION, 1, 7200000, "1500ms", AT(pause_ms), "Pause.", NULL,
     NULL},
    {"listen", BASE_SETTINGS_STRING, 0, 0, "tcp://127.0.0.1:7401", AT(listen), "Address.", NULL,
     address_check},
    {"seeds", BASE_SETTINGS_LIST, 0, 0, "", AT(seeds), "Some nodes.", NULL, address_check},
    {"log.level", BASE_SETTINGS_ENUM, 0, 0, "info", AT(level), "Least level.", levels, NULL},
    {"cluster", BASE_SETTINGS_ID, 0, 0, NULL, AT(cluster), "The cluster's id.", NULL, NULL},
};
enum { ITEM_COUNT = sizeof(items) / sizeof(items[0]) };

static struct config config;
static struct base_settings *settings;
static struct base_settings_error error;

static void set_up(void)
{
    settings = base_settings_new(items, ITEM_COUNT, &config);
}

static void tear_down(void)
{
    base_settings_free(settings);
}

static enum torc_status parse(const char *text)
{
    return base_settings_parse(settings, "f.yaml", base_bytes_text(text), &error);
}

static void expect_refusal(const char *text, const char *message)
{
    cr_assert_eq(parse(text), TORC_MALFORMED, "%s", text);
    cr_assert_str_eq(error.text, message);
    base_settings_free(settings);
    settings = base_settings_new(items, ITEM_COUNT, &config);
}

static const char *value_of(const char *name)
{
    static char buffer[256];
    for (size_t i = 0; i < base_settings_count(settings); i++) {
        if (strcmp(base_settings_name(settings, i), name) == 0)
            return base_settings_value(settings, i, buffer, sizeof(buffer));
    }
    return "no such setting";
}

/* What nobody gives has its preset. */
TEST_BODY(settings, presets_fill_the_target, set_up, tear_down)
{
    cr_assert_eq(config.timeout_ms, 300);
    cr_assert_eq(config.cache, 64 << 20);
    cr_assert_eq(config.pause_ms, 1500);
    cr_assert_str_eq(config.listen, "tcp://127.0.0.1:7401");
    cr_assert_eq(config.seeds.count, 0);
    cr_assert_eq(config.level, 1);
    cr_assert(!config.insecure);
}

/* Every type is read from a file; nested names are the dotted ones. */
TEST_BODY(settings, file_sets_every_type, set_up, tear_down)
{
    cr_assert_eq(parse("# a comment\n"
                       "insecure: true\n"
                       "election_timeout_ms: 500\n"
                       "state:\n"
                       "  cache_size: 1GiB\n"
                       "  pause: 2m\n"
                       "listen: 'tcp://127.0.0.1:1'\n"
                       "seeds: [tcp://a:1, \"tcp://b:2\"]\n"
                       "log.level: warn\n"
                       "cluster: 00112233445566778899aabbccddeeff\n"),
                 TORC_OK, "%s", error.text);
    cr_assert(config.insecure);
    cr_assert_eq(config.timeout_ms, 500);
    cr_assert_eq(config.cache, 1 << 30);
    cr_assert_eq(config.pause_ms, 120000);
    cr_assert_str_eq(config.listen, "tcp://127.0.0.1:1");
    cr_assert_eq(config.seeds.count, 2);
    cr_assert_str_eq(config.seeds.items[1], "tcp://b:2");
    cr_assert_eq(config.level, 2);
    cr_assert_eq(config.cluster[15], 0xff);
    cr_assert_eq(base_settings_complete(settings, &error), TORC_OK);
}

/* Nothing, only a comment and only a document mark are files without settings. */
TEST_BODY(settings, empty_files_are_right, set_up, tear_down)
{
    cr_assert_eq(parse(""), TORC_OK);
    cr_assert_eq(parse("# nothing\n"), TORC_OK);
    cr_assert_eq(parse("---\n"), TORC_OK);
}

/* A message says file, line, column, what was found, and what would be right. */
TEST_BODY(settings, wrong_values_are_placed_and_explained, set_up, tear_down)
{
    expect_refusal("insecure: true\nelection_timeout_ms: fast\n",
                   "f.yaml:2:22: election_timeout_ms is fast; it must be a whole number from 50 to "
                   "60000");
    expect_refusal("election_timeout_ms: 49\n",
                   "f.yaml:1:22: election_timeout_ms is 49; it must be a whole number from 50 to "
                   "60000");
    expect_refusal("election_timeout_ms: 18446744073709551666\n",
                   "f.yaml:1:22: election_timeout_ms is 18446744073709551666; it must be a whole "
                   "number from 50 to 60000");
    expect_refusal("state: {cache_size: 16777217TiB}\n",
                   "f.yaml:1:21: state.cache_size is 16777217TiB; it must be a size from 1KiB to "
                   "1TiB, such as 64MiB");
    expect_refusal("state.pause: 10\n",
                   "f.yaml:1:14: state.pause is 10; it must be a duration from 1ms to 2h, such as "
                   "300ms or 10s");
    expect_refusal("insecure: yes\n", "f.yaml:1:11: insecure is yes; it must be true or false");
    expect_refusal("log: {level: \"lo ud\\n\"}\n",
                   "f.yaml:1:14: log.level is \"lo ud\\x0a\"; it must be one of debug, info, warn");
    expect_refusal("cluster: 00112233445566778899AABBCCDDEEFF\n",
                   "f.yaml:1:10: cluster is 00112233445566778899AABBCCDDEEFF; it must be 32 "
                   "hexadecimal digits (0-9, a-f)");
    expect_refusal("seeds:\n  - tcp://a:1\n  - b\n",
                   "f.yaml:3:5: seeds is b; it must be an address such as tcp://127.0.0.1:7401");
    expect_refusal(
        "listen: 7401\n",
        "f.yaml:1:9: listen is 7401; it must be an address such as tcp://127.0.0.1:7401");
}

/* An unknown name is on its own line and column, with the known name that it resembles. */
TEST_BODY(settings, unknown_names_are_refused_with_the_nearest, set_up, tear_down)
{
    expect_refusal("insecure: true\nvolume: 3\n",
                   "f.yaml:2:1: there is no setting volume; --help lists all");
    expect_refusal("lo: {level: info}\n", "f.yaml:1:1: there is no setting lo; --help lists all");
    expect_refusal("elction_timeout_ms: 3\n", "f.yaml:1:1: there is no setting elction_timeout_ms; "
                                              "did you mean election_timeout_ms?");
    expect_refusal("log:\n  levle: info\n",
                   "f.yaml:2:3: there is no setting log.levle; did you mean log.level?");
}

/* Shapes that have no meaning here are refused, each saying which. */
TEST_BODY(settings, wrong_shapes_are_refused, set_up, tear_down)
{
    expect_refusal("- a\n", "f.yaml:1:1: settings must be written as \"name: value\" lines");
    expect_refusal("insecure\n", "f.yaml:1:1: settings must be written as \"name: value\" lines");
    expect_refusal("insecure: [true]\n", "f.yaml:1:11: insecure must be true or false, not a list");
    expect_refusal("listen: {a: b}\n", "f.yaml:1:9: listen must be a text, not a mapping");
    expect_refusal("log: info\n", "f.yaml:1:6: a mapping must stand here, such as {level: info}");
    expect_refusal("[a]: b\n", "f.yaml:1:1: the name of a setting must stand here");
    expect_refusal("seeds: [[a]]\n", "f.yaml:1:9: an element of a list must be a plain text");
    expect_refusal("listen: \"tcp://a\\0b\"\n", "f.yaml:1:9: a text must not hold a NUL byte");
    expect_refusal("insecure: true\n---\ninsecure: true\n",
                   "f.yaml:2:1: a second document has no meaning here");
    expect_refusal("insecure: true\ninsecure: true\n",
                   "f.yaml:2:1: insecure is given twice; the first is on line 1");
    expect_refusal("listen: 'x\n", "f.yaml:2:1: this is not YAML: found unexpected end of stream");
}

/* What is not YAML is refused wherever it stands, as is a text with a NUL byte. */
TEST_BODY(settings, broken_text_is_refused_wherever_it_stands, set_up, tear_down)
{
    static const char *const texts[] = {"\"",
                                        "%YAML 9.9\n---\n",
                                        "listen: 'x",
                                        "log: {",
                                        "log: {level: 'x",
                                        "log: \"",
                                        "seeds: [",
                                        "log: 'x",
                                        "seeds: [tcp://a, 'x",
                                        "insecure: true\n\"",
                                        "--- {}\n%",
                                        "insecure: true\n...\n%",
                                        "--- \"",
                                        "{'x"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_assert_eq(parse(texts[i]), TORC_MALFORMED, "%s", texts[i]);
        cr_assert_not_null(strstr(error.text, "this is not YAML: "), "%s: %s", texts[i],
                           error.text);
        base_settings_free(settings);
        settings = base_settings_new(items, ITEM_COUNT, &config);
    }
    cr_assert_eq(base_settings_parse(settings, "f.yaml", base_bytes_of("\xff\xff", 2), &error),
                 TORC_MALFORMED);
    cr_assert_not_null(strstr(error.text, "f.yaml:1:1: this is not YAML: "));
    expect_refusal("seeds: [\"tcp://a\\0b\"]\n", "f.yaml:1:9: a text must not hold a NUL byte");
    expect_refusal("\"insecure\\0b\": true\n", "f.yaml:1:1: a text must not hold a NUL byte");
    expect_refusal("insecure: &a true\nlisten: *a\n",
                   "f.yaml:2:9: listen must be a text, not an alias");
}

/* A list's elements can be anything but empty or with the comma that parts them. */
TEST_BODY(settings, elements_of_lists_have_no_comma, set_up, tear_down)
{
    static const char *const refused[] = {"", "tcp://a,tcp://b"};
    struct config plain;
    const struct base_settings_item item = {"names",   BASE_SETTINGS_LIST, 0,    0,   "",
                                            AT(seeds), "Some names.",      NULL, NULL};
    for (size_t i = 0; i < 2; i++) {
        struct base_settings *names = base_settings_new(&item, 1, &plain);
        char text[64];
        snprintf(text, sizeof(text), "names: [a, '%s']\n", refused[i]);
        cr_assert_eq(base_settings_parse(names, "f.yaml", base_bytes_text(text), &error),
                     TORC_MALFORMED);
        cr_assert_not_null(strstr(error.text, "it must be a text that is not empty and has no "
                                              "comma"));
        base_settings_free(names);
    }
    struct base_settings *names = base_settings_new(&item, 1, &plain);
    cr_assert_eq(base_settings_set(names, "names=a,,b", &error), TORC_MALFORMED);
    cr_assert_eq(plain.seeds.count, 0);
    cr_assert_eq(base_settings_set(names, "names=a,b", &error), TORC_OK);
    cr_assert_eq(plain.seeds.count, 2);
    cr_assert_eq(base_settings_set(names, "names=", &error), TORC_OK);
    cr_assert_eq(plain.seeds.count, 0);
    base_settings_free(names);
}

/* An id is its 32 digits and nothing else, at each place. */
TEST_BODY(settings, ids_are_digits_at_each_place, set_up, tear_down)
{
    static const char others[] = {'/', ':', '`', 'g', 'A', ' '};
    for (size_t at = 0; at < 2 * BASE_SETTINGS_ID_SIZE; at++) {
        for (size_t i = 0; i < sizeof(others); i++) {
            char text[] = "cluster=00112233445566778899aabbccddeeff";
            text[strlen("cluster=") + at] = others[i];
            cr_assert_eq(base_settings_set(settings, text, &error), TORC_MALFORMED, "%s", text);
        }
    }
    cr_assert_eq(base_settings_set(settings, "cluster=0011", &error), TORC_MALFORMED);
}

/* A name as long as no setting's is unknown, and says so without being taken whole. */
TEST_BODY(settings, long_names_are_unknown, set_up, tear_down)
{
    char name[600], text[700];
    memset(name, 'n', sizeof(name) - 1);
    for (size_t size = 100; size < sizeof(name); size += 1) {
        name[size] = '\0';
        snprintf(text, sizeof(text), "log:\n  %s: info\n", name);
        cr_assert_eq(parse(text), TORC_MALFORMED);
        cr_assert_eq(strncmp(error.text, "f.yaml:2:3: there is no setting log.nnn", 38), 0, "%s",
                     error.text);
        snprintf(text, sizeof(text), "%s=info", name);
        cr_assert_eq(base_settings_set(settings, text, &error), TORC_MALFORMED);
        base_settings_free(settings);
        settings = base_settings_new(items, ITEM_COUNT, &config);
        name[size] = 'n';
    }
    cr_assert_eq(base_settings_set(settings, "=info", &error), TORC_MALFORMED);
    cr_assert_not_null(strstr(error.text, "it must be NAME=VALUE"));
}

/* Nothing at all can be the least that is right, and a text without a check is any text. */
Test(settings, least_values_and_plain_texts)
{
    static const struct base_settings_item plain[] = {
        {"size", BASE_SETTINGS_SIZE, 0, 2048, "0", AT(cache), "A size.", NULL, NULL},
        {"name", BASE_SETTINGS_STRING, 0, 0, "", AT(listen), "A name.", NULL, NULL},
    };
    struct config target;
    char buffer[64];
    struct base_settings *two = base_settings_new(plain, 2, &target);
    cr_assert_str_eq(base_settings_value(two, 0, buffer, sizeof(buffer)), "0B");
    cr_assert_eq(base_settings_set(two, "size=3KiB", &error), TORC_MALFORMED);
    cr_assert_str_eq(error.text, "--set: size is 3KiB; it must be a size from 0B to 2KiB, such as "
                                 "64MiB");
    cr_assert_eq(base_settings_set(two, "name=a, b", &error), TORC_OK);
    cr_assert_str_eq(target.listen, "a, b");
    base_settings_free(two);
}

/* Settings that were never made are ended as others are. */
Test(settings, free_takes_null)
{
    base_settings_free(NULL);
}

/* A file is read whole or not at all: one that is too large, and what is no file, are refused. */
TEST_BODY(settings, files_that_cannot_be_read_are_refused, set_up, tear_down)
{
    char dir[SCRATCH_PATH_SIZE], path[SCRATCH_PATH_SIZE + 16];
    scratch_make(dir);
    cr_assert_eq(base_settings_load(settings, dir, &error), TORC_IO);
    cr_assert_not_null(strstr(error.text, "cannot be read: "));
    snprintf(path, sizeof(path), "%s/f.yaml", dir);
    cr_assert_eq(base_settings_load(settings, path, &error), TORC_IO);
    cr_assert_not_null(strstr(error.text, "cannot be opened: "));
    char *large = malloc(BASE_SETTINGS_FILE_SIZE_MAX + 2);
    memset(large, '#', BASE_SETTINGS_FILE_SIZE_MAX + 1);
    large[BASE_SETTINGS_FILE_SIZE_MAX + 1] = '\0';
    scratch_write(dir, "f.yaml", large);
    cr_assert_eq(base_settings_load(settings, path, &error), TORC_MALFORMED);
    cr_assert_not_null(strstr(error.text, "bytes; at most"));
    large[BASE_SETTINGS_FILE_SIZE_MAX] = '\0';
    scratch_write(dir, "f.yaml", large);
    cr_assert_eq(base_settings_load(settings, path, &error), TORC_OK);
    free(large);
    scratch_remove(dir);
}

/* What --check-config prints says where each value is from, and leaves out what has none. */
TEST_BODY(settings, printed_values_say_where_they_are_from, set_up, tear_down)
{
    char *text;
    size_t size;
    cr_assert_eq(parse("\nlog.level: warn\n"), TORC_OK);
    cr_assert_eq(base_settings_set(settings, "insecure=true", &error), TORC_OK);
    FILE *out = open_memstream(&text, &size);
    base_settings_print(settings, out);
    fclose(out);
    cr_assert_not_null(strstr(text, "log.level: 'warn'  # line 2\n"));
    cr_assert_not_null(strstr(text, "insecure: 'true'  # --set\n"));
    cr_assert_not_null(strstr(text, "listen: 'tcp://127.0.0.1:7401'  # default\n"));
    cr_assert_null(strstr(text, "cluster"));
    free(text);
}

/* --set wins over the file, and a wrong one changes nothing. */
TEST_BODY(settings, set_overrides_and_refuses, set_up, tear_down)
{
    cr_assert_eq(parse("seeds: [tcp://a:1]\nstate.cache_size: 1MiB\n"), TORC_OK);
    cr_assert_eq(base_settings_set(settings, "seeds=tcp://b:1,tcp://c:1", &error), TORC_OK);
    cr_assert_eq(config.seeds.count, 2);
    cr_assert_str_eq(config.seeds.items[0], "tcp://b:1");
    cr_assert_eq(base_settings_set(settings, "state.cache_size=2KiB", &error), TORC_OK);
    cr_assert_eq(config.cache, 2048);

    cr_assert_eq(base_settings_set(settings, "seeds=tcp://d:1,no", &error), TORC_MALFORMED);
    cr_assert_str_eq(error.text, "--set: seeds is tcp://d:1,no; it must be an address such as "
                                 "tcp://127.0.0.1:7401");
    cr_assert_str_eq(config.seeds.items[0], "tcp://b:1");
    cr_assert_eq(base_settings_set(settings, "seeds", &error), TORC_MALFORMED);
    cr_assert_str_eq(error.text,
                     "--set seeds: it must be NAME=VALUE, such as --set log.level=debug");
    cr_assert_eq(base_settings_set(settings, "sed=1", &error), TORC_MALFORMED);
    cr_assert_str_eq(error.text, "--set: there is no setting sed; did you mean seeds?");
}

/* What has no preset must be given. */
TEST_BODY(settings, required_ones_are_named_when_missing, set_up, tear_down)
{
    cr_assert_eq(base_settings_complete(settings, &error), TORC_INVALID);
    cr_assert_str_eq(error.text, "cluster is missing; it must be 32 hexadecimal digits (0-9, a-f) "
                                 "(The cluster's id.)");
    cr_assert_str_eq(value_of("cluster"), "");
    cr_assert_eq(base_settings_set(settings, "cluster=00112233445566778899aabbccddeeff", &error),
                 TORC_OK);
    cr_assert_eq(base_settings_complete(settings, &error), TORC_OK);
    cr_assert_str_eq(value_of("cluster"), "00112233445566778899aabbccddeeff");
}

/* Effective values are in the largest unit that is exact. */
TEST_BODY(settings, values_print_as_they_are_written, set_up, tear_down)
{
    cr_assert_str_eq(value_of("state.cache_size"), "64MiB");
    cr_assert_str_eq(value_of("state.pause"), "1500ms");
    cr_assert_str_eq(value_of("log.level"), "info");
    cr_assert_eq(base_settings_set(settings, "state.cache_size=65535KiB", &error), TORC_OK);
    cr_assert_str_eq(value_of("state.cache_size"), "65535KiB");
    cr_assert_eq(base_settings_set(settings, "state.cache_size=1500", &error), TORC_OK);
    cr_assert_str_eq(value_of("state.cache_size"), "1500B");
    cr_assert_eq(base_settings_set(settings, "seeds=tcp://b,tcp://c", &error), TORC_OK);
    cr_assert_str_eq(value_of("seeds"), "tcp://b,tcp://c");
}

/* What --check-config prints is a file with the same settings. */
TEST_BODY(settings, printed_values_read_back, set_up, tear_down)
{
    cr_assert_eq(parse("seeds: [\"tcp://it's\", 'tcp://#: {b}']\nstate: {pause: 61s}\n"
                       "cluster: 00112233445566778899aabbccddeeff\n"),
                 TORC_OK);
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    base_settings_print(settings, out);
    fclose(out);
    struct config again;
    struct base_settings *other = base_settings_new(items, ITEM_COUNT, &again);
    cr_assert_eq(base_settings_parse(other, "printed", base_bytes_of(text, size), &error), TORC_OK,
                 "%s", error.text);
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        char a[256], b[256];
        cr_assert_str_eq(base_settings_value(settings, i, a, sizeof(a)),
                         base_settings_value(other, i, b, sizeof(b)));
    }
    base_settings_free(other);
    free(text);
}

/* A value longer than the buffer is cut, never written past it. */
TEST_BODY(settings, long_values_are_cut, set_up, tear_down)
{
    cr_assert_eq(base_settings_set(settings, "listen=tcp://0123456789", &error), TORC_OK);
    cr_assert_eq(base_settings_set(settings, "cluster=00112233445566778899aabbccddeeff", &error),
                 TORC_OK);
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        char buffer[9] = "12345678";
        base_settings_value(settings, i, buffer, 8);
        cr_assert(strlen(buffer) < 8);
        cr_assert_eq(buffer[8], '\0');
    }
}

/* A program runs (-1) only when everything is right; the file may come after --set. */
TEST_BODY(settings, start_reads_the_command_line, set_up, tear_down)
{
    char dir[SCRATCH_PATH_SIZE], path[SCRATCH_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/f.yaml", scratch_make(dir));
    scratch_write(dir, "f.yaml", "cluster: 00112233445566778899aabbccddeeff\nlog.level: debug\n");
    char *right[] = {"torc-shard", "--set=log.level=warn", "--config", path, NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 4, right), -1);
    cr_assert_eq(config.level, 2);
    scratch_remove(dir);
    char *gone[] = {"torc-shard", "--config", path, NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 3, gone), 2);
    char *wrong[] = {"torc-shard", "--sat", "a=b", NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 3, wrong), 2);
    char *cut[] = {"torc-shard", "--set", NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 2, cut), 2);
    char *longer[] = {"torc-shard", "--settle", "a=b", NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 3, longer), 2);
    char *unknown[] = {"torc-shard", "--set", "a=b", NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 3, unknown), 2);
    char *check[] = {"torc-shard", "--check-config", NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 2, check), 0);
    char *help[] = {"torc-shard", "--help", NULL};
    cr_assert_eq(base_settings_start(settings, "torc-shard --config FILE", 2, help), 0);
}

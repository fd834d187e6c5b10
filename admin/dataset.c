#include "admin/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/report.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"

static const char words_path[] = "/usr/share/dict/words";
static const char manuals_path[] = "/usr/share/man";

enum { KEY_SIZE_MAX = 4096 }; /* The cluster's own limit; refused here with the line. */

/* ---- Pairs ----------------------------------------------------------------------------------- */

static void pair_add(struct admin_dataset *dataset, struct base_bytes key, struct base_bytes value)
{
    dataset->pairs = base_array_reserve(base_allocator_system(), dataset->pairs, &dataset->capacity,
                                        dataset->count + 1, sizeof(*dataset->pairs));
    dataset->pairs[dataset->count++] = (struct admin_pair){key, value};
}

static void pairs_free(struct admin_dataset *dataset)
{
    base_array_free(base_allocator_system(), dataset->pairs, &dataset->capacity,
                    sizeof(*dataset->pairs));
}

/* Keeps one pair per key, the last value at the first's place; counts the bytes. */
static void pairs_unite(struct admin_dataset *dataset)
{
    size_t slot_count = 16;
    while (slot_count < 2 * dataset->count)
        slot_count *= 2;
    const struct base_allocator *system = base_allocator_system();
    uint32_t *slots = base_alloc_zero(system, slot_count * sizeof(*slots)); /* Place + 1. */
    size_t kept = 0;
    for (size_t i = 0; i < dataset->count; i++) {
        struct admin_pair pair = dataset->pairs[i];
        size_t slot = base_hash(pair.key) & (slot_count - 1);
        while (slots[slot] != 0 && !base_bytes_equal(dataset->pairs[slots[slot] - 1].key, pair.key))
            slot = (slot + 1) & (slot_count - 1);
        if (slots[slot] == 0) {
            dataset->pairs[kept++] = pair;
            slots[slot] = (uint32_t)kept;
        } else {
            dataset->pairs[slots[slot] - 1].value = pair.value;
        }
    }
    base_free(system, slots, slot_count * sizeof(*slots));
    dataset->count = kept;
    dataset->bytes = 0;
    for (size_t i = 0; i < kept; i++)
        dataset->bytes += dataset->pairs[i].key.size + dataset->pairs[i].value.size;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* The line at `at`, without its end; *ret_next is where the next begins. */
static struct base_bytes line_at(const uint8_t *at, const uint8_t *end, const uint8_t **ret_next)
{
    const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
    *ret_next = stop == NULL ? end : stop + 1;
    return base_bytes_of(at, (size_t)((stop == NULL ? end : stop) - at));
}

static const char *key_flaw(struct base_bytes key)
{
    if (key.size == 0)
        return "the key is empty";
    return key.size > KEY_SIZE_MAX ? "the key is longer than 4096 bytes" : NULL;
}

static const char *pair_line(struct admin_dataset *dataset, struct base_bytes line)
{
    const uint8_t *tab = memchr(line.data, '\t', line.size);
    if (tab == NULL)
        return "there is no TAB between key and value";
    struct base_bytes key = base_bytes_of(line.data, (size_t)(tab - line.data));
    struct base_bytes value = base_bytes_of(tab + 1, line.size - key.size - 1);
    const char *flaw = key_flaw(key);
    if (flaw == NULL)
        pair_add(dataset, key, value);
    return flaw;
}

/* `stanza` is a block without its last line end. */
static const char *stanza_block(struct admin_dataset *dataset, struct base_bytes stanza)
{
    const uint8_t *next;
    struct base_bytes first = line_at(stanza.data, stanza.data + stanza.size, &next);
    const uint8_t *colon = memmem(first.data, first.size, ": ", 2);
    if (colon == NULL)
        return "a stanza must begin with \"Name: key\" (and lines of pairs need a TAB)";
    struct base_bytes key = base_bytes_of(colon + 2, first.size - (size_t)(colon + 2 - first.data));
    const char *flaw = key_flaw(key);
    if (flaw == NULL)
        pair_add(dataset, key, stanza);
    return flaw;
}

const char *admin_dataset_parse(uint8_t *text, size_t size, struct admin_dataset *ret_dataset,
                                size_t *ret_line)
{
    struct admin_dataset dataset = {.text = text, .text_size = size};
    const uint8_t *end = text + size, *next, *stanza = NULL;
    const char *flaw = NULL;
    bool decided = false, stanzas = false;
    size_t line_number = 0, stanza_line = 0;
    for (const uint8_t *at = text; at < end && flaw == NULL; at = next) {
        struct base_bytes line = line_at(at, end, &next);
        line_number++;
        if (!decided && line.size > 0) {
            decided = true;
            stanzas = memchr(line.data, '\t', line.size) == NULL;
        }
        if (!stanzas) {
            stanza_line = line_number;
            flaw = line.size == 0 ? NULL : pair_line(&dataset, line);
            continue;
        }
        if (line.size > 0 && stanza == NULL) {
            stanza = at;
            stanza_line = line_number;
        }
        if (stanza != NULL && (line.size == 0 || next == end)) {
            const uint8_t *stop = line.size == 0 ? at - 1 : line.data + line.size;
            flaw = stanza_block(&dataset, base_bytes_of(stanza, (size_t)(stop - stanza)));
            stanza = NULL;
        }
    }
    if (flaw == NULL && dataset.count == 0)
        flaw = "there are no keys";
    if (flaw != NULL) {
        pairs_free(&dataset);
        *ret_line = stanza_line;
        return flaw;
    }
    pairs_unite(&dataset);
    *ret_dataset = dataset;
    return NULL;
}

/* ---- Sources --------------------------------------------------------------------------------- */

/* All of a stream, from malloc; NULL and errno. */
static uint8_t *stream_read(FILE *in, size_t *ret_size)
{
    size_t size = 0, capacity = 1 << 20;
    uint8_t *text = malloc(capacity);
    while (text != NULL) {
        size_t got = fread(text + size, 1, capacity - size, in);
        size += got;
        if (got == 0)
            break;
        if (size == capacity) {
            uint8_t *larger = realloc(text, capacity *= 2);
            if (larger == NULL)
                free(text);
            text = larger;
        }
    }
    if (text != NULL && ferror(in)) {
        free(text);
        return NULL;
    }
    *ret_size = size;
    return text;
}

int admin_dataset_read_file(const char *path, struct admin_dataset *ret_dataset)
{
    size_t size = 0, line = 0;
    FILE *in = fopen(path, "re");
    uint8_t *text = in == NULL ? NULL : stream_read(in, &size);
    int error = errno;
    if (in != NULL)
        fclose(in);
    if (text == NULL)
        return admin_refuse("%s: %s", path, strerror(error));
    const char *flaw = admin_dataset_parse(text, size, ret_dataset, &line);
    if (flaw != NULL) {
        free(text);
        return admin_refuse("%s:%zu: %s", path, line, flaw);
    }
    snprintf(ret_dataset->source, sizeof(ret_dataset->source), "%s", path);
    return 0;
}

static bool packages_read(struct admin_dataset *ret_dataset)
{
    size_t size = 0, line;
    FILE *in = popen("apt-cache dumpavail 2>/dev/null", "re");
    uint8_t *text = in == NULL ? NULL : stream_read(in, &size);
    bool good = text != NULL;
    if (in != NULL && pclose(in) != 0)
        good = false;
    if (good && admin_dataset_parse(text, size, ret_dataset, &line) == NULL) {
        snprintf(ret_dataset->source, sizeof(ret_dataset->source), "apt-cache dumpavail");
        return true;
    }
    free(text);
    return false;
}

/* Every word is its own value. */
static bool words_read(struct admin_dataset *ret_dataset)
{
    size_t size = 0;
    FILE *in = fopen(words_path, "re");
    uint8_t *text = in == NULL ? NULL : stream_read(in, &size);
    if (in != NULL)
        fclose(in);
    if (text == NULL)
        return false;
    struct admin_dataset dataset = {.text = text, .text_size = size};
    const uint8_t *end = text + size, *next;
    for (const uint8_t *at = text; at < end; at = next) {
        struct base_bytes line = line_at(at, end, &next);
        if (key_flaw(line) == NULL)
            pair_add(&dataset, line, line);
    }
    pairs_unite(&dataset);
    snprintf(dataset.source, sizeof(dataset.source), "%s", words_path);
    *ret_dataset = dataset;
    return dataset.count > 0;
}

/* nftw has no argument for its callback: the text that grows, as "path NUL size8 content" runs. */
static FILE *manuals_text;

static int manual_visit(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)place;
    if (type != FTW_F || info->st_size > 1 << 20)
        return 0;
    FILE *in = fopen(path, "re");
    size_t size = 0;
    uint8_t *content = in == NULL ? NULL : stream_read(in, &size);
    if (in != NULL)
        fclose(in);
    if (content != NULL) {
        uint8_t head[16];
        base_put_le64(head, strlen(path));
        base_put_le64(head + 8, size);
        fwrite(head, 1, sizeof(head), manuals_text);
        fwrite(path, 1, strlen(path), manuals_text);
        fwrite(content, 1, size, manuals_text);
    }
    free(content);
    return 0;
}

/* Key: the page's path; value: the file as it is. */
static bool manuals_read(struct admin_dataset *ret_dataset)
{
    char *text = NULL;
    size_t size = 0;
    manuals_text = open_memstream(&text, &size);
    if (manuals_text == NULL)
        return false;
    nftw(manuals_path, manual_visit, 32, FTW_PHYS);
    if (fclose(manuals_text) != 0) {
        free(text);
        return false;
    }
    struct admin_dataset dataset = {.text = (uint8_t *)text, .text_size = size};
    for (const uint8_t *at = dataset.text, *end = at + size; at < end;) {
        size_t key_size = base_get_le64(at), value_size = base_get_le64(at + 8);
        pair_add(&dataset, base_bytes_of(at + 16, key_size),
                 base_bytes_of(at + 16 + key_size, value_size));
        at += 16 + key_size + value_size;
    }
    pairs_unite(&dataset);
    snprintf(dataset.source, sizeof(dataset.source), "the manual pages in %s", manuals_path);
    *ret_dataset = dataset;
    return dataset.count > 0;
}

int admin_dataset_read_default(struct admin_dataset *ret_dataset)
{
    memset(ret_dataset, 0, sizeof(*ret_dataset));
    if (packages_read(ret_dataset))
        return 0;
    admin_dataset_free(ret_dataset);
    if (words_read(ret_dataset))
        return 0;
    admin_dataset_free(ret_dataset);
    if (manuals_read(ret_dataset))
        return 0;
    admin_dataset_free(ret_dataset);
    return admin_fail("there is nothing to load: `apt-cache dumpavail` prints nothing, there is no "
                      "%s and no page in %s; name a file with --load FILE, or pass --no-load",
                      words_path, manuals_path);
}

void admin_dataset_free(struct admin_dataset *dataset)
{
    free(dataset->text);
    pairs_free(dataset);
    memset(dataset, 0, sizeof(*dataset));
}

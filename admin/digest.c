#include "admin/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/report.h"
#include "base/alloc.h"
#include "base/hash.h"

enum { HASH_DIGITS = 16, DIGEST_SIZE_MAX = 1 << 30 };

static int flaw_say(const char *path, size_t line)
{
    return admin_refuse("%s:%zu: this is not a line of a load's digest; the file is damaged: put "
                        "it back, or pass --no-load to start without checking what was loaded",
                        path, line);
}

/* The text of the file, NUL-terminated; NULL and errno. */
static uint8_t *file_read(const char *path, size_t *ret_size)
{
    struct stat info;
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return NULL;
    uint8_t *text = NULL;
    if (fstat(fileno(in), &info) == 0 && info.st_size < DIGEST_SIZE_MAX) {
        text = base_alloc(base_allocator_system(), (size_t)info.st_size + 1);
        *ret_size = fread(text, 1, (size_t)info.st_size, in);
        text[*ret_size] = '\0';
    }
    fclose(in);
    return text;
}

/* "torc-load 1 loaded 123 SOURCE": false when it is not one. */
static bool head_read(const char *line, struct admin_digest *digest, size_t *ret_count)
{
    char state[16];
    if (sscanf(line, "torc-load 1 %15s %zu %255[^\n]", state, ret_count, digest->source) != 3)
        return false;
    if (strcmp(state, "loading") != 0 && strcmp(state, "loaded") != 0)
        return false;
    digest->state = strcmp(state, "loaded") == 0 ? ADMIN_DIGEST_LOADED : ADMIN_DIGEST_LOADING;
    return *ret_count > 0 && *ret_count <= digest->text_size / (HASH_DIGITS + 2);
}

static bool entry_read(const uint8_t *line, size_t size, struct admin_digest_entry *ret_entry)
{
    uint64_t hash = 0;
    if (size < HASH_DIGITS + 2 || line[HASH_DIGITS] != '\t')
        return false;
    for (size_t i = 0; i < HASH_DIGITS; i++) {
        const char *digit = strchr("0123456789abcdef", line[i]);
        if (line[i] == '\0' || digit == NULL)
            return false;
        hash = hash << 4 | (uint64_t)(digit[0] <= '9' ? digit[0] - '0' : digit[0] - 'a' + 10);
    }
    *ret_entry = (struct admin_digest_entry){
        base_bytes_of(line + HASH_DIGITS + 1, size - HASH_DIGITS - 1), hash};
    return true;
}

int admin_digest_read(const char *path, struct admin_digest *ret_digest)
{
    struct admin_digest digest = {.state = ADMIN_DIGEST_NONE};
    size_t count, size, line_number = 1;
    memset(ret_digest, 0, sizeof(*ret_digest));
    digest.text = file_read(path, &size);
    if (digest.text == NULL)
        return errno == ENOENT ? 0 : admin_refuse("%s: %s", path, strerror(errno));
    digest.text_size = size + 1;
    const uint8_t *end = digest.text + size;
    uint8_t *stop = memchr(digest.text, '\n', size);
    if (stop == NULL || !head_read((const char *)digest.text, &digest, &count))
        goto fail;
    digest.entries = base_alloc(base_allocator_system(), count * sizeof(*digest.entries));
    digest.count = count;
    const uint8_t *at = stop + 1;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        line_number++;
        if (line_end == NULL || !entry_read(at, (size_t)(line_end - at), &digest.entries[i]))
            goto fail;
        at = line_end + 1;
    }
    line_number++;
    if (at != end)
        goto fail;
    *ret_digest = digest;
    return 0;

fail:
    admin_digest_free(&digest);
    return flaw_say(path, line_number);
}

void admin_digest_free(struct admin_digest *digest)
{
    const struct base_allocator *system = base_allocator_system();
    base_free(system, digest->entries, digest->count * sizeof(*digest->entries));
    base_free(system, digest->text, digest->text_size);
    memset(digest, 0, sizeof(*digest));
}

int admin_digest_write(const char *path, enum admin_digest_state state,
                       const struct admin_dataset *dataset)
{
    char fresh[4096];
    snprintf(fresh, sizeof(fresh), "%s.fresh", path);
    FILE *out = fopen(fresh, "we");
    if (out == NULL)
        return admin_fail("%s: %s", fresh, strerror(errno));
    fprintf(out, "torc-load 1 %s %zu %s\n", state == ADMIN_DIGEST_LOADED ? "loaded" : "loading",
            dataset->count, dataset->source);
    for (size_t i = 0; i < dataset->count; i++) {
        fprintf(out, "%016" PRIx64 "\t", base_hash(dataset->pairs[i].value));
        fwrite(dataset->pairs[i].key.data, 1, dataset->pairs[i].key.size, out);
        fputc('\n', out);
    }
    bool good = fflush(out) == 0 && !ferror(out) && fsync(fileno(out)) == 0;
    good = fclose(out) == 0 && good;
    if (!good || rename(fresh, path) != 0)
        return admin_fail("%s: %s", path, strerror(errno));
    return 0;
}

bool admin_digest_matches(const struct admin_digest *digest, const struct admin_dataset *dataset)
{
    if (digest->count != dataset->count)
        return false;
    for (size_t i = 0; i < digest->count; i++) {
        if (!base_bytes_equal(digest->entries[i].key, dataset->pairs[i].key) ||
            digest->entries[i].hash != base_hash(dataset->pairs[i].value))
            return false;
    }
    return true;
}

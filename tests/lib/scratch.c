#include "tests/lib/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

char *scratch_make(char dir[SCRATCH_PATH_SIZE])
{
    const char *base = getenv("TEST_TMPDIR");
    int size = snprintf(dir, SCRATCH_PATH_SIZE, "%s/XXXXXX", base == NULL ? P_tmpdir : base);
    TORC_ASSERT(size > 0 && size < SCRATCH_PATH_SIZE);
    TORC_ASSERT(mkdtemp(dir) != NULL);
    return dir;
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void scratch_remove(const char *dir)
{
    TORC_ASSERT(nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

void scratch_write(const char *dir, const char *name, const char *text)
{
    char path[SCRATCH_PATH_SIZE + 64];
    int size = snprintf(path, sizeof(path), "%s/%s", dir, name);
    TORC_ASSERT(size > 0 && (size_t)size < sizeof(path));
    FILE *out = fopen(path, "w");
    TORC_ASSERT(out != NULL);
    TORC_ASSERT(fputs(text, out) >= 0);
    TORC_ASSERT(fclose(out) == 0);
}

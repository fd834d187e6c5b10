#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void torc_assert_fail(const char *expression, const char *file, int line)
{
    fprintf(stderr, "assertion failed: %s at %s:%d\n", expression, file, line);
    fflush(stderr);
    abort();
}

/* Everything that check.sh must catch, for impure_test.sh. */
#include <time.h>

#include "base/status.h"

long impure_clock(void);
int impure_count(void);
const char *impure_text(void);

long impure_clock(void)
{
    return (long)time(NULL);
}

int impure_count(void)
{
    static int count;
    return ++count;
}

const char *impure_text(void)
{
    return torc_status_text(TORC_OK);
}

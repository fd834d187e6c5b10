#include "base/scheduling.h"

#include <errno.h>
#include <sched.h>

#include "base/log.h"

void base_scheduling_batch(void)
{
    if (sched_getscheduler(0) != SCHED_OTHER)
        return;
    const struct sched_param none = {.sched_priority = 0};
    if (sched_setscheduler(0, SCHED_BATCH, &none) != 0)
        base_log(BASE_LOG_WARN, "scheduling_refused", "policy=batch errno=%d", errno);
}

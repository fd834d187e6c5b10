#include "base/scheduling.h"

#include <pthread.h>
#include <sched.h>

#include <criterion/criterion.h>

static void *policy_of_thread(void *context)
{
    *(int *)context = sched_getscheduler(0);
    return NULL;
}

static int policy_of_new_thread(void)
{
    pthread_t thread;
    int policy = -1;
    cr_assert_eq(pthread_create(&thread, NULL, policy_of_thread, &policy), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    return policy;
}

Test(scheduling, threads_started_later_have_it_too)
{
    cr_assert_eq(sched_getscheduler(0), SCHED_OTHER);
    base_scheduling_batch();
    cr_assert_eq(sched_getscheduler(0), SCHED_BATCH);
    cr_assert_eq(policy_of_new_thread(), SCHED_BATCH);
}

Test(scheduling, another_policy_is_obeyed)
{
    const struct sched_param none = {.sched_priority = 0};
    cr_assert_eq(sched_setscheduler(0, SCHED_IDLE, &none), 0);
    base_scheduling_batch();
    cr_assert_eq(sched_getscheduler(0), SCHED_IDLE);
}

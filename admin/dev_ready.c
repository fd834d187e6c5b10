#include "admin/dev_ready.h"

#include <stdio.h>
#include <string.h>

#include "admin/init.h"
#include "admin/ping.h"
#include "admin/report.h"
#include "admin/status.h"
#include "admin/target.h"
#include "base/assert.h"

enum { VNODE_COUNT = 4096, PING_MS = 1000, PAUSE_MS = 50, TAIL_LINES = 8 };

static void spec_make(const struct admin_dev *dev, struct admin_map_spec *ret_spec)
{
    memset(ret_spec, 0, sizeof(*ret_spec));
    TORC_ASSERT(admin_id_read(dev->cluster, strlen(dev->cluster), &ret_spec->cluster));
    ret_spec->node_count = dev->node_count;
    ret_spec->shard_count = dev->shard_count;
    ret_spec->replica_count = admin_dev_replica_count(dev);
    ret_spec->vnode_count = VNODE_COUNT;
    ret_spec->lease_ms = dev->lease_ms;
    for (uint32_t i = 0; i < dev->node_count; i++) {
        char address[ADMIN_DEV_ADDRESS_SIZE];
        struct admin_map_node *node = &ret_spec->nodes[i];
        node->id = i + 1;
        snprintf(node->address, sizeof(node->address), "%s", admin_dev_address(dev, i, address));
        TORC_ASSERT(admin_id_read(dev->storage[i], strlen(dev->storage[i]), &node->storage));
    }
}

/* Says that a process has ended, if one has. */
static bool process_ended(const struct admin_dev *dev, size_t index)
{
    struct admin_run run;
    char name[ADMIN_DEV_NAME_SIZE], log[PATH_MAX];
    admin_run_load(dev, &run);
    if (admin_run_alive(dev, &run, index))
        return false;
    admin_dev_path(dev, index, ".log", log);
    admin_fail("%s has ended; the last lines of %s:", admin_dev_name(dev, index, name), log);
    admin_process_print_tail(log, TAIL_LINES, "    ", stderr);
    return true;
}

static bool any_ended(const struct admin_dev *dev)
{
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        if (process_ended(dev, i))
            return true;
    }
    return false;
}

struct start {
    const struct admin_dev *dev;
    const volatile sig_atomic_t *stop;
};

/* Whether there is nothing to wait for any more; a process that has ended is said. */
static bool start_is_vain(void *context)
{
    const struct start *start = context;
    return *start->stop != 0 || any_ended(start->dev);
}

int admin_dev_initialise(struct admin_dev *dev, uint64_t deadline_ms,
                         const volatile sig_atomic_t *stop)
{
    static struct admin_map_spec spec;
    char reason[512];
    struct start start = {dev, stop};
    spec_make(dev, &spec);
    if (admin_init_send(&spec, deadline_ms, start_is_vain, &start, reason, sizeof(reason)) != 0)
        return admin_fail("the first map was not accepted: %s", reason);
    dev->phase = ADMIN_DEV_READY;
    return admin_dev_store(dev);
}

/* Whether a node that answers is another than the one formatted here; said. */
static bool node_foreign(const struct admin_dev *dev, const struct admin_status *status)
{
    for (size_t i = 0; i < status->count; i++) {
        char storage[33], dir[PATH_MAX];
        const Torc__Wire__StatusReply *reply = status->nodes[i].reply;
        if (reply == NULL)
            continue;
        admin_id_text(reply->storage.data, reply->storage.len, storage);
        if (strcmp(storage, dev->storage[i]) == 0)
            continue;
        admin_dev_path(dev, i, "", dir);
        admin_fail("%s holds the data of another node: its storage id is %s, expected is %s; put "
                   "the right directory back",
                   dir, storage, dev->storage[i]);
        return true;
    }
    return false;
}

static void target_make(const struct admin_dev *dev, struct admin_target *ret_target)
{
    memset(ret_target, 0, sizeof(*ret_target));
    TORC_ASSERT(admin_id_read(dev->cluster, strlen(dev->cluster), &ret_target->cluster));
    for (uint32_t i = 0; i < dev->node_count; i++)
        admin_dev_address(dev, i, ret_target->addresses[ret_target->count++]);
}

int admin_dev_wait_all(const struct admin_dev *dev, uint64_t deadline_ms,
                       const volatile sig_atomic_t *stop)
{
    static struct admin_target target;
    static struct admin_status status;
    target_make(dev, &target);
    for (;;) {
        char flaw[1024];
        if (any_ended(dev))
            return 1;
        admin_status_gather(&target, &status);
        bool foreign = node_foreign(dev, &status);
        bool served = admin_status_flaw(&status, dev->shard_count, flaw, sizeof(flaw)) == NULL;
        admin_status_free(&status);
        if (foreign)
            return 1;
        if (served && admin_ping(dev->port, PING_MS))
            return 0;
        if (*stop != 0)
            return admin_fail("interrupted before the cluster served");
        if (admin_now_ms() >= deadline_ms)
            return admin_fail("the cluster does not serve in time: %s",
                              served ? "the router does not answer PING" : flaw);
        admin_sleep_ms(PAUSE_MS);
    }
}

int admin_dev_wait_process(const struct admin_dev *dev, size_t index, uint64_t deadline_ms)
{
    static struct admin_target target;
    static struct admin_status status;
    char name[ADMIN_DEV_NAME_SIZE];
    target_make(dev, &target);
    if (!admin_dev_is_router(dev, index)) {
        memmove(target.addresses[0], target.addresses[index], sizeof(target.addresses[0]));
        target.count = 1;
    }
    for (;;) {
        bool answers;
        if (process_ended(dev, index))
            return 1;
        if (admin_dev_is_router(dev, index)) {
            answers = admin_ping(dev->port, PING_MS);
        } else {
            admin_status_gather(&target, &status);
            answers = status.nodes[0].reply != NULL;
            admin_status_free(&status);
        }
        if (answers)
            return 0;
        if (admin_now_ms() >= deadline_ms)
            return admin_fail("%s runs and does not answer", admin_dev_name(dev, index, name));
        admin_sleep_ms(PAUSE_MS);
    }
}

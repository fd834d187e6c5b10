#include "admin/dev_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/map.h"
#include "admin/report.h"
#include "base/assert.h"

enum { DEV_FILE_VERSION = 1 };

static const char *const phase_names[] = {"formatting", "formatted", "ready"};

/* ---- Names ----------------------------------------------------------------------------------- */

size_t admin_dev_process_count(const struct admin_dev *dev)
{
    return dev->node_count + 1;
}

bool admin_dev_is_router(const struct admin_dev *dev, size_t index)
{
    return index == dev->node_count;
}

const char *admin_dev_name(const struct admin_dev *dev, size_t index,
                           char buffer[ADMIN_DEV_NAME_SIZE])
{
    TORC_ASSERT(index < admin_dev_process_count(dev));
    if (admin_dev_is_router(dev, index))
        snprintf(buffer, ADMIN_DEV_NAME_SIZE, "r1");
    else
        snprintf(buffer, ADMIN_DEV_NAME_SIZE, "s%u", (unsigned)(index + 1) % 1000);
    return buffer;
}

size_t admin_dev_find(const struct admin_dev *dev, const char *name)
{
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        char own[ADMIN_DEV_NAME_SIZE];
        if (strcmp(admin_dev_name(dev, i, own), name) == 0)
            return i;
    }
    return SIZE_MAX;
}

const char *admin_dev_address(const struct admin_dev *dev, size_t index,
                              char buffer[ADMIN_DEV_ADDRESS_SIZE])
{
    TORC_ASSERT(index < dev->node_count);
    snprintf(buffer, ADMIN_DEV_ADDRESS_SIZE, "tcp://127.0.0.1:%u",
             (unsigned)dev->port + 1 + (unsigned)index);
    return buffer;
}

void admin_dev_file_path(const struct admin_dev *dev, const char *name, char buffer[PATH_MAX])
{
    int size = snprintf(buffer, PATH_MAX, "%s/%s", dev->dir, name);
    TORC_ASSERT(size < PATH_MAX); /* admin_dev_load keeps room for the names used here. */
}

void admin_dev_path(const struct admin_dev *dev, size_t index, const char *suffix,
                    char buffer[PATH_MAX])
{
    char name[ADMIN_DEV_NAME_SIZE], file[ADMIN_DEV_NAME_SIZE + 8];
    snprintf(file, sizeof(file), "%s%s", admin_dev_name(dev, index, name), suffix);
    admin_dev_file_path(dev, file, buffer);
}

uint32_t admin_dev_replica_count(const struct admin_dev *dev)
{
    return dev->node_count >= 3 ? 3 : 1;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Writes `json` to DIR/name through a temporary file; synced when it must survive a power cut. */
static int json_store(const struct admin_dev *dev, const char *name, json_t *json, bool synced)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    admin_dev_file_path(dev, name, path);
    admin_dev_file_path(dev, "fresh.json", fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int error = 0;
    if (fd < 0 || json_dumpfd(json, fd, JSON_INDENT(2)) != 0 || (synced && fsync(fd) != 0))
        error = errno;
    if (fd >= 0 && close(fd) != 0 && error == 0)
        error = errno;
    if (error == 0 && rename(fresh, path) != 0)
        error = errno;
    if (error == 0 && synced) {
        int dir_fd = open(dev->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0 || fsync(dir_fd) != 0)
            error = errno;
        if (dir_fd >= 0)
            close(dir_fd);
    }
    return error == 0 ? 0 : admin_fail("%s cannot be written: %s", path, strerror(error));
}

int admin_dev_store(const struct admin_dev *dev)
{
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < dev->node_count; i++)
        json_array_append_new(
            nodes, json_pack("{s:i, s:s}", "node", (int)i + 1, "storage", dev->storage[i]));
    json_t *json =
        json_pack("{s:i, s:s, s:s, s:i, s:i, s:i, s:o}", "version", DEV_FILE_VERSION, "phase",
                  phase_names[dev->phase], "cluster", dev->cluster, "port", (int)dev->port,
                  "shards", (int)dev->shard_count, "lease_ms", (int)dev->lease_ms, "nodes", nodes);
    int code = json_store(dev, "cluster.json", json, true);
    json_decref(json);
    return code;
}

/* The fields of cluster.json into *dev; NULL, or what is wrong. */
static const char *dev_read(json_t *json, struct admin_dev *dev)
{
    int version, port, shards, lease_ms = 0; /* Not in files of the first version. */
    const char *phase, *cluster;
    json_t *nodes;
    if (json_unpack(json, "{s:i, s:s, s:s, s:i, s:i, s?i, s:o}", "version", &version, "phase",
                    &phase, "cluster", &cluster, "port", &port, "shards", &shards, "lease_ms",
                    &lease_ms, "nodes", &nodes) != 0)
        return "a field is missing or of another type";
    if (version != DEV_FILE_VERSION)
        return "it was written by another version";
    size_t node_count = json_array_size(nodes);
    if (node_count < 1 || node_count > ADMIN_DEV_NODES_MAX || shards < 1 ||
        shards > ADMIN_DEV_SHARDS_MAX || port < 1 || port > 65535 - ADMIN_DEV_NODES_MAX ||
        lease_ms < 0 || lease_ms > ADMIN_MAP_LEASE_MS_MAX ||
        strlen(cluster) != ADMIN_ID_TEXT_SIZE - 1)
        return "a field is out of range";
    dev->phase = ADMIN_DEV_FORMATTING;
    while (strcmp(phase_names[dev->phase], phase) != 0) {
        if (dev->phase == ADMIN_DEV_READY)
            return "its phase is not known";
        dev->phase++;
    }
    memcpy(dev->cluster, cluster, ADMIN_ID_TEXT_SIZE);
    dev->port = (uint16_t)port;
    dev->shard_count = (uint32_t)shards;
    dev->lease_ms = (uint32_t)lease_ms;
    dev->node_count = (uint32_t)node_count;
    for (size_t i = 0; i < node_count; i++) {
        const char *storage;
        size_t size;
        if (json_unpack(json_array_get(nodes, i), "{s:s%}", "storage", &storage, &size) != 0 ||
            size >= ADMIN_ID_TEXT_SIZE)
            return "a node has no storage id";
        memcpy(dev->storage[i], storage, size + 1);
    }
    return NULL;
}

static bool dir_empty(const char *dir)
{
    DIR *listing = opendir(dir);
    if (listing == NULL)
        return errno == ENOENT;
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(listing)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strcmp(entry->d_name, "lock") == 0;
    closedir(listing);
    return empty;
}

/* Absolute and without links when it is there, so that every way to write it gives the same path.
 */
static bool dir_absolute(const char *dir, char ret_path[PATH_MAX])
{
    char here[PATH_MAX] = "";
    if (realpath(dir, ret_path) != NULL)
        return strlen(ret_path) < PATH_MAX - 256;
    if (dir[0] != '/' && getcwd(here, sizeof(here)) == NULL)
        return false;
    int size = snprintf(ret_path, PATH_MAX, "%s%s%s", here, here[0] == '\0' ? "" : "/", dir);
    /* Room for names below it; the longest is a RocksDB file. */
    return size > 0 && size < PATH_MAX - 256;
}

enum admin_dev_found admin_dev_load(const char *dir, struct admin_dev *ret_dev)
{
    char path[PATH_MAX];
    json_error_t error;
    memset(ret_dev, 0, sizeof(*ret_dev));
    if (!dir_absolute(dir, ret_dev->dir)) {
        admin_fail("--dir %s: the path is too long", dir);
        return ADMIN_DEV_FOREIGN;
    }
    admin_dev_file_path(ret_dev, "cluster.json", path);
    if (access(path, F_OK) != 0) {
        if (dir_empty(ret_dev->dir))
            return ADMIN_DEV_ABSENT;
        admin_fail("%s holds no cluster.json, so it is not a dev cluster's directory; it must be "
                   "one, or be empty, or not exist",
                   ret_dev->dir);
        return ADMIN_DEV_FOREIGN;
    }
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        admin_fail("%s:%d:%d: %s", path, error.line, error.column, error.text);
        return ADMIN_DEV_FOREIGN;
    }
    const char *flaw = dev_read(json, ret_dev);
    json_decref(json);
    if (flaw != NULL) {
        admin_fail("%s is not a dev cluster's file: %s", path, flaw);
        return ADMIN_DEV_FOREIGN;
    }
    return ADMIN_DEV_FOUND;
}

int admin_dev_need(const char *dir, struct admin_dev *ret_dev)
{
    switch (admin_dev_load(dir, ret_dev)) {
    case ADMIN_DEV_FOUND:
        return 0;
    case ADMIN_DEV_ABSENT:
        return admin_refuse("there is no cluster in %s; `torc-admin dev up --dir %s` makes one",
                            ret_dev->dir, dir);
    case ADMIN_DEV_FOREIGN:
        break;
    }
    return 2;
}

/* ---- Running processes ----------------------------------------------------------------------- */

static json_t *process_pack(struct admin_process process)
{
    return json_pack("{s:i, s:I}", "pid", (int)process.pid, "start_time",
                     (json_int_t)process.start_time);
}

static struct admin_process process_unpack(json_t *json)
{
    int pid;
    json_int_t start_time;
    if (json_unpack(json, "{s:i, s:I}", "pid", &pid, "start_time", &start_time) != 0)
        return (struct admin_process){0, 0};
    return (struct admin_process){pid, (uint64_t)start_time};
}

int admin_run_store(const struct admin_dev *dev, const struct admin_run *run)
{
    json_t *json = json_pack("{s:o}", "supervisor", process_pack(run->supervisor));
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        char name[ADMIN_DEV_NAME_SIZE];
        json_object_set_new(json, admin_dev_name(dev, i, name), process_pack(run->processes[i]));
    }
    int code = json_store(dev, "run.json", json, false);
    json_decref(json);
    return code;
}

void admin_run_load(const struct admin_dev *dev, struct admin_run *ret_run)
{
    char path[PATH_MAX];
    json_error_t error;
    memset(ret_run, 0, sizeof(*ret_run));
    admin_dev_file_path(dev, "run.json", path);
    json_t *json = json_load_file(path, 0, &error);
    if (json == NULL)
        return;
    ret_run->supervisor = process_unpack(json_object_get(json, "supervisor"));
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        char name[ADMIN_DEV_NAME_SIZE];
        ret_run->processes[i] = process_unpack(json_object_get(json, admin_dev_name(dev, i, name)));
    }
    json_decref(json);
}

bool admin_run_alive(const struct admin_dev *dev, const struct admin_run *run, size_t index)
{
    char mark[PATH_MAX];
    admin_dev_path(dev, index, ".yaml", mark);
    return admin_process_runs(run->processes[index], mark);
}

#include "admin/dev_start.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/report.h"
#include "base/assert.h"

enum { PROGRAM_OUTPUT_SIZE_MAX = 4096 };

/* ---- Binaries -------------------------------------------------------------------------------- */

/* The first of DIR/NAME, EXE/NAME and EXE/../BUILT/NAME that can be run. */
static bool binary_find(const char *exe_dir, const char *name, const char *built,
                        char ret_path[PATH_MAX])
{
    const char *chosen = getenv("TORC_BIN_DIR");
    char places[3][PATH_MAX];
    snprintf(places[0], PATH_MAX, "%.2000s/%s", chosen == NULL ? exe_dir : chosen, name);
    snprintf(places[1], PATH_MAX, "%.2000s/%s", exe_dir, name);
    snprintf(places[2], PATH_MAX, "%.2000s/../%s/%s", exe_dir, built, name);
    for (size_t i = 0; i < 3; i++) {
        if (access(places[i], X_OK) == 0) {
            memcpy(ret_path, places[i], PATH_MAX);
            return true;
        }
    }
    admin_refuse("there is no %s: not at %s, %s or %s; build it (./dev build), or set TORC_BIN_DIR "
                 "to the directory that holds it",
                 name, places[0], places[1], places[2]);
    return false;
}

int admin_dev_find_binaries(struct admin_binaries *ret_binaries)
{
    char exe[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (size < 0)
        return admin_fail("/proc/self/exe: %s", strerror(errno));
    exe[size] = '\0';
    *strrchr(exe, '/') = '\0';
    if (!binary_find(exe, "torc-shard", "shard/driver", ret_binaries->shard) ||
        !binary_find(exe, "torc-router", "router/driver", ret_binaries->router))
        return 2;
    return 0;
}

/* Runs a program to its end; its output (and errors with it) into `output`, NUL-terminated. Returns
 * its exit status, -1 when it could not be run or was killed. */
static int program_run(char *const *argv, char output[PROGRAM_OUTPUT_SIZE_MAX])
{
    int fds[2];
    output[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(fds[1], STDOUT_FILENO) >= 0 && dup2(fds[1], STDERR_FILENO) >= 0)
            execv(argv[0], argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(fds[1]);
    size_t used = 0;
    char rest[256]; /* What does not fit is read and dropped, so that the program can end. */
    for (ssize_t size; pid > 0;) {
        size_t room = PROGRAM_OUTPUT_SIZE_MAX - 1 - used;
        size = room > 0 ? read(fds[0], output + used, room) : read(fds[0], rest, sizeof(rest));
        if (size <= 0)
            break;
        used += room > 0 ? (size_t)size : 0;
    }
    output[used] = '\0';
    close(fds[0]);
    int wait_status;
    if (pid <= 0 || waitpid(pid, &wait_status, 0) != pid || !WIFEXITED(wait_status))
        return -1;
    return WEXITSTATUS(wait_status);
}

int admin_dev_sort_sets(const struct admin_dev *dev, const struct admin_binaries *binaries,
                        const struct admin_texts *sets, struct admin_texts *ret_shard,
                        struct admin_texts *ret_router)
{
    for (size_t i = 0; i < sets->count; i++) {
        char config[PATH_MAX], outputs[2][PROGRAM_OUTPUT_SIZE_MAX];
        bool taken = false;
        for (size_t kind = 0; kind < 2; kind++) {
            const char *binary = kind == 0 ? binaries->shard : binaries->router;
            struct admin_texts *to = kind == 0 ? ret_shard : ret_router;
            admin_dev_path(dev, kind == 0 ? 0 : dev->node_count, ".yaml", config);
            const char *argv[] = {binary,         "--config",       config, "--set",
                                  sets->items[i], "--check-config", NULL};
            if (program_run((char *const *)(uintptr_t)argv, outputs[kind]) == 0) {
                to->items[to->count++] = sets->items[i];
                taken = true;
            }
        }
        if (!taken)
            return admin_refuse("neither program takes --set %s\n  torc-shard: %s  torc-router: %s",
                                sets->items[i], outputs[0], outputs[1]);
    }
    return 0;
}

/* ---- Ports ----------------------------------------------------------------------------------- */

static int port_check(const struct admin_dev *dev, size_t index, uint16_t port)
{
    char name[ADMIN_DEV_NAME_SIZE];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return admin_fail("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int error = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    if (error == 0 && listen(fd, 1) != 0)
        error = errno;
    close(fd);
    if (error == 0)
        return 0;
    return admin_fail("port %u, which %s (%s) needs, cannot be used: %s; end what uses it, or make "
                      "a cluster elsewhere with --dir DIR --port P",
                      (unsigned)port, admin_dev_name(dev, index, name),
                      admin_dev_is_router(dev, index) ? "RESP" : "node", strerror(error));
}

int admin_dev_check_ports(const struct admin_dev *dev)
{
    int code = port_check(dev, dev->node_count, dev->port);
    for (uint32_t i = 0; i < dev->node_count && code == 0; i++)
        code = port_check(dev, i, (uint16_t)(dev->port + 1 + i));
    return code;
}

/* ---- Data directories ------------------------------------------------------------------------ */

static bool id_text_valid(const char *text)
{
    return strspn(text, "0123456789abcdef") == ADMIN_ID_TEXT_SIZE - 1;
}

static void id_make(char ret_text[ADMIN_ID_TEXT_SIZE])
{
    uint8_t bytes[(ADMIN_ID_TEXT_SIZE - 1) / 2];
    TORC_ASSERT(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

static int node_format(struct admin_dev *dev, const char *binary, uint32_t index)
{
    char dir[PATH_MAX], node[16], size[24], output[PROGRAM_OUTPUT_SIZE_MAX];
    snprintf(node, sizeof(node), "%u", index + 1);
    snprintf(size, sizeof(size), "%lu", (unsigned long)dev->segment_size);
    admin_dev_path(dev, index, "", dir);
    const char *argv[] = {binary,   "format", "--dir",          dir,  "--cluster", dev->cluster,
                          "--node", node,     "--segment-size", size, NULL};
    if (dev->segment_size == 0)
        argv[8] = NULL;
    int code = program_run((char *const *)(uintptr_t)argv, output);
    const char *storage = strstr(output, "storage=");
    if (code != 0 || storage == NULL || !id_text_valid(storage + strlen("storage=")))
        return admin_fail("torc-shard format --dir %s failed (status %d): %s", dir, code, output);
    memcpy(dev->storage[index], storage + strlen("storage="), ADMIN_ID_TEXT_SIZE - 1);
    return 0;
}

int admin_dev_format(struct admin_dev *dev, const struct admin_binaries *binaries)
{
    id_make(dev->cluster);
    dev->phase = ADMIN_DEV_FORMATTING;
    int code = admin_dev_store(dev);
    for (uint32_t i = 0; i < dev->node_count && code == 0; i++)
        code = node_format(dev, binaries->shard, i);
    if (code != 0)
        return code;
    dev->phase = ADMIN_DEV_FORMATTED;
    return admin_dev_store(dev);
}

int admin_dev_check_dirs(const struct admin_dev *dev)
{
    for (uint32_t i = 0; i < dev->node_count; i++) {
        char dir[PATH_MAX], superblocks[2][PATH_MAX];
        admin_dev_path(dev, i, "", dir);
        admin_dev_path(dev, i, "/superblock.0", superblocks[0]);
        admin_dev_path(dev, i, "/superblock.1", superblocks[1]);
        if (access(superblocks[0], F_OK) == 0 || access(superblocks[1], F_OK) == 0)
            continue;
        return admin_fail("%s must hold the data of node %u (storage id %s), but %s; put it back, "
                          "or remove %s to lose this cluster and begin a new one",
                          dir, i + 1, dev->storage[i],
                          access(dir, F_OK) == 0 ? "it holds no superblock" : "it is missing",
                          dev->dir);
    }
    return 0;
}

/* ---- Settings files -------------------------------------------------------------------------- */

/* A single-quoted YAML text. */
static void quoted_write(FILE *out, const char *name, const char *text)
{
    fprintf(out, "%s: '", name);
    for (; *text != '\0'; text++) {
        fputc(*text, out);
        if (*text == '\'')
            fputc('\'', out);
    }
    fputs("'\n", out);
}

static void seeds_write(const struct admin_dev *dev, FILE *out)
{
    fputs("seeds:\n", out);
    for (uint32_t i = 0; i < dev->node_count; i++) {
        char address[ADMIN_DEV_ADDRESS_SIZE];
        fprintf(out, "  - '%s'\n", admin_dev_address(dev, i, address));
    }
}

static void settings_write(const struct admin_dev *dev, size_t index, FILE *out)
{
    fputs("# Written anew by every `torc-admin dev up`.\n", out);
    quoted_write(out, "cluster", dev->cluster);
    if (admin_dev_is_router(dev, index)) {
        fprintf(out, "id: r1\nresp.listen: '127.0.0.1:%u'\n", dev->port);
        seeds_write(dev, out);
    } else {
        char address[ADMIN_DEV_ADDRESS_SIZE], dir[PATH_MAX];
        fprintf(out, "node: %zu\n", index + 1);
        quoted_write(out, "listen", admin_dev_address(dev, index, address));
        admin_dev_path(dev, index, "", dir);
        quoted_write(out, "dir", dir);
    }
}

int admin_dev_write_settings(const struct admin_dev *dev)
{
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        char path[PATH_MAX];
        admin_dev_path(dev, i, ".yaml", path);
        FILE *out = fopen(path, "we");
        bool good = out != NULL;
        if (good)
            settings_write(dev, i, out);
        if (good && (ferror(out) | fclose(out)) != 0)
            good = false;
        if (!good)
            return admin_fail("%s: %s", path, strerror(errno));
    }
    return 0;
}

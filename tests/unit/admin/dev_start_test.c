#include "admin/dev_start.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

/* Stand-ins: a shard formats its directory, and either program knows one setting of its own. */
static const char shard_text[] = "#!/bin/sh\n"
                                 "if [ \"$1\" = format ]; then\n"
                                 "  mkdir \"$3\" && echo \"$8 $9\" >\"$3/superblock.0\" &&\n"
                                 "    echo storage=$(printf '%032d' \"$7\")\n"
                                 "elif [ \"$4\" != shard.only=1 ] && [ \"$4\" != both=1 ]; then\n"
                                 "  echo unknown; exit 2\n"
                                 "fi\n";
static const char router_text[] = "#!/bin/sh\n[ \"$4\" = both=1 ] || { echo unknown; exit 2; }\n";

static char dir[SCRATCH_PATH_SIZE], path[PATH_MAX];
static struct admin_dev dev;
static struct admin_binaries binaries;

static void set_up(void)
{
    scratch_make(dir);
    scratch_write(dir, "torc-shard", shard_text);
    scratch_write(dir, "torc-router", router_text);
    static const char *const names[] = {"torc-shard", "torc-router"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        cr_assert_eq(chmod(path, 0755), 0);
    }
    setenv("TORC_BIN_DIR", dir, 1);
    cr_assert_eq(admin_dev_find_binaries(&binaries), 0);
    snprintf(path, sizeof(path), "%s/cluster", dir);
    cr_assert_eq(mkdir(path, 0755), 0);
    cr_assert_eq(admin_dev_load(path, &dev), ADMIN_DEV_ABSENT);
    dev.node_count = 2;
    dev.shard_count = 1;
    dev.port = 7000;
}

static void tear_down(void)
{
    scratch_remove(dir);
}

/* A first start formats every node and notes its storage id; later ones find all in place. */
TEST_BODY(dev_start, formats_once_and_notes_it, set_up, tear_down)
{
    struct admin_dev again;
    cr_assert_eq(admin_dev_format(&dev, &binaries), 0);
    cr_assert_eq(admin_dev_load(dev.dir, &again), ADMIN_DEV_FOUND);
    cr_assert_eq(again.phase, ADMIN_DEV_FORMATTED);
    cr_assert_str_eq(again.storage[1], "00000000000000000000000000000002");
    cr_assert_eq(strlen(again.cluster), ADMIN_ID_TEXT_SIZE - 1);
    cr_assert_eq(admin_dev_check_dirs(&again), 0);
    admin_dev_path(&again, 1, "/superblock.0", path);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(admin_dev_check_dirs(&again), 1);
}

/* A size of log segments is handed on. */
TEST_BODY(dev_start, format_takes_a_segment_size, set_up, tear_down)
{
    char text[64] = "";
    dev.segment_size = 33554432;
    cr_assert_eq(admin_dev_format(&dev, &binaries), 0);
    admin_dev_path(&dev, 1, "/superblock.0", path);
    FILE *in = fopen(path, "re");
    cr_assert_not_null(in);
    cr_assert_not_null(fgets(text, sizeof(text), in));
    fclose(in);
    cr_assert_str_eq(text, "--segment-size 33554432\n");
}

/* A format that fails leaves the phase that says so. */
TEST_BODY(dev_start, a_failed_format_is_noted, set_up, tear_down)
{
    struct admin_dev again;
    admin_dev_path(&dev, 1, "", path);
    cr_assert_eq(mkdir(path, 0755), 0); /* In the way of the stand-in's mkdir. */
    cr_assert_eq(admin_dev_format(&dev, &binaries), 1);
    cr_assert_eq(admin_dev_load(dev.dir, &again), ADMIN_DEV_FOUND);
    cr_assert_eq(again.phase, ADMIN_DEV_FORMATTING);
}

/* A setting goes to whoever takes it; one that nobody takes is refused. */
TEST_BODY(dev_start, settings_go_to_who_knows_them, set_up, tear_down)
{
    static struct admin_texts sets = {{"shard.only=1", "both=1"}, 2}, wrong = {{"none=1"}, 1};
    static struct admin_texts shard, router;
    cr_assert_eq(admin_dev_sort_sets(&dev, &binaries, &sets, &shard, &router), 0);
    cr_assert_eq(shard.count, 2);
    cr_assert_eq(router.count, 1);
    cr_assert_str_eq(router.items[0], "both=1");
    cr_assert_eq(admin_dev_sort_sets(&dev, &binaries, &wrong, &shard, &router), 2);
}

/* A port that somebody listens on is found. */
TEST_BODY(dev_start, taken_ports_are_found, set_up, tear_down)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    dev.port = ntohs(address.sin_port);
    cr_assert_eq(admin_dev_check_ports(&dev), 1);
    dev.port = (uint16_t)(dev.port - 1);
    cr_assert_eq(admin_dev_check_ports(&dev), 1, "the first node's");
    close(fd);
}

/* Programs that are not there are refused. */
TEST_BODY(dev_start, missing_binaries_are_refused, set_up, tear_down)
{
    snprintf(path, sizeof(path), "%s/torc-router", dir);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(admin_dev_find_binaries(&binaries), 2);
}

#include "shard/driver/format.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shard/driver/config.h"
#include "store/driver/directory.h"
#include "store/driver/rocks.h"

static const char usage[] =
    "usage: torc-shard format --dir DIR --cluster HEX32 --node N [--segment-size BYTES]\n"
    "\n"
    "Makes the data directory DIR for node N of the cluster, and prints its storage id.\n"
    "DIR must be empty, or not exist yet; nothing is ever formatted twice.\n"
    "\n"
    "example: torc-shard format --dir /var/lib/torc --node 1 \\\n"
    "                    --cluster 5f0c2e1d4b3a69788796a5b4c3d2e1f0\n";

enum {
    FORMAT_SEGMENT_SIZE = 64 << 20,
    FORMAT_SEGMENT_SIZE_MIN = 20 << 20, /* A whole batch, with the stamps of its blocks. */
    FORMAT_SEGMENT_SIZE_MAX = 1 << 30,
};
_Static_assert(FORMAT_SEGMENT_SIZE_MIN >= SHARD_LOG_BATCH_SIZE_MAX / 16 * 18,
               "a batch fits into a segment");

struct format_arguments {
    const char *dir;
    struct store_directory_format_options options;
};

static int complain(const char *text, const char *what)
{
    fprintf(stderr, "torc-shard format: %s%s\n(`torc-shard format --help` shows the usage)\n", text,
            what);
    return 2;
}

/* 32 hexadecimal digits. */
static bool id_of(const char *text, uint8_t *ret_id)
{
    if (strlen(text) != 2 * STORE_ID_SIZE || strspn(text, "0123456789abcdefABCDEF") != strlen(text))
        return false;
    for (size_t i = 0; i < STORE_ID_SIZE; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        ret_id[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

/* A whole decimal number in [min, max]. */
static bool number_of(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long number = strtoull(text, &end, 10);
    if (*end != '\0' || number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

/* 0: go on; else the exit status + 1. */
static int parse(int argc, char **argv, struct format_arguments *ret)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},  {"cluster", required_argument, NULL, 'c'},
        {"node", required_argument, NULL, 'n'}, {"segment-size", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},       {0}};
    bool cluster = false;
    uint64_t node = 0, segment_size = FORMAT_SEGMENT_SIZE;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            ret->dir = optarg;
        else if (option == 'c' && !(cluster = id_of(optarg, ret->options.cluster_id)))
            return complain("--cluster wants 32 hexadecimal digits, not ", optarg) + 1;
        else if (option == 'n' && !number_of(optarg, 1, UINT32_MAX, &node))
            return complain("--node wants a number from 1 to 4294967295, not ", optarg) + 1;
        else if (option == 's' && !number_of(optarg, FORMAT_SEGMENT_SIZE_MIN,
                                             FORMAT_SEGMENT_SIZE_MAX, &segment_size))
            return complain("--segment-size wants 20971520 to 1073741824 bytes, not ", optarg) + 1;
        else if (option == 'h')
            return fputs(usage, stdout), 1;
        else if (option == '?')
            return 2 + 1;
    }
    if (optind < argc)
        return complain("what is meant by ", argv[optind]) + 1;
    if (ret->dir == NULL || !cluster || node == 0)
        return complain("--dir, --cluster and --node are needed", "") + 1;
    ret->options.node = (uint32_t)node;
    ret->options.segment_size = segment_size;
    return 0;
}

struct format_state_error {
    char text[512];
};

static enum torc_status make_state(void *context, const char *state_path)
{
    struct format_state_error *error = context;
    struct store_rocks_config config = store_rocks_config_default(state_path);
    config.create = true;
    struct store_kv *kv;
    enum torc_status status = store_rocks_open(&config, error->text, sizeof(error->text), &kv);
    if (status == TORC_OK)
        store_kv_close(kv);
    return status;
}

int shard_driver_format(int argc, char **argv)
{
    struct format_state_error state_error = {0};
    struct format_arguments arguments = {.options = {.feature_level = SHARD_FEATURE_LEVEL,
                                                     .block_size = 512,
                                                     .make_state = make_state,
                                                     .context = &state_error}};
    int code = parse(argc, argv, &arguments);
    if (code != 0)
        return code - 1;
    struct store_superblock superblock;
    char text[STORE_DIRECTORY_TEXT_SIZE];
    enum torc_status status =
        store_directory_format(arguments.dir, &arguments.options, &superblock, text, sizeof(text));
    if (status != TORC_OK) {
        fprintf(stderr, "torc-shard format: %s%s%s\n", text,
                state_error.text[0] == '\0' ? "" : ": ", state_error.text);
        return 1;
    }
    printf("storage=");
    for (size_t i = 0; i < STORE_ID_SIZE; i++)
        printf("%02x", superblock.storage_id[i]);
    printf("\n");
    return 0;
}

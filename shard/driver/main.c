#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/scheduling.h"
#include "shard/driver/config.h"
#include "shard/driver/format.h"
#include "shard/driver/host.h"

static const char usage[] = "torc-shard format --dir DIR --cluster HEX32 --node N\n"
                            "       torc-shard --config FILE";

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "format") == 0)
        return shard_driver_format(argc - 1, argv + 1);
    struct shard_driver_config config;
    memset(&config, 0, sizeof(config));
    struct base_settings *settings = shard_driver_settings(&config);
    int code = base_settings_start(settings, usage, argc, argv);
    if (code < 0) {
        signal(SIGPIPE, SIG_IGN);
        base_log_open((enum base_log_level)config.log_level, 2 /* standard error */);
        base_scheduling_batch();
        code = shard_host_run(&config);
    }
    base_settings_free(settings);
    return code;
}

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/scheduling.h"
#include "router/driver/config.h"
#include "router/driver/host.h"

static const char usage[] = "torc-router --config FILE";

int main(int argc, char **argv)
{
    struct router_driver_config config;
    memset(&config, 0, sizeof(config));
    struct base_settings *settings = router_driver_settings(&config);
    int code = base_settings_start(settings, usage, argc, argv);
    if (code < 0) {
        signal(SIGPIPE, SIG_IGN);
        base_log_open((enum base_log_level)config.log_level, 2 /* standard error */);
        base_scheduling_batch();
        code = router_host_run(&config, settings);
    }
    base_settings_free(settings);
    return code;
}

/* Lists all keys, and counts them another way. */
#include <inttypes.h>

#include "example.h"

int main(int argc, char **argv)
{
    struct torc *torc = example_open(argc, argv, TORC_COMPLETE_ON_THREAD);
    struct torc_scan_options options = {.struct_size = sizeof(options), .page = 10};
    struct torc_scan *scan = torc_scan_open(torc, &options);
    struct torc_bytes key;
    enum torc_status status;
    uint64_t count, seen = 0;
    while ((status = torc_scan_next(scan, &key)) == TORC_OK) {
        printf("%.*s\n", (int)key.size, (const char *)key.data);
        seen++;
    }
    torc_scan_close(scan);
    if (status == TORC_NOT_FOUND) /* The end. */
        status = torc_count(torc, NULL, &count);
    if (status == TORC_OK)
        printf("%" PRIu64 " keys, %" PRIu64 " counted\n", seen, count);
    else
        fprintf(stderr, "%s\n", torc_status_text(status));
    torc_close(torc);
    return status == TORC_OK ? 0 : 1;
}

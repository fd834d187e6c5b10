/* Many GETs of a value of the largest size in one send, with real processes: each is answered with
 * the value, none too late, however many are behind it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/cluster/lib/client.h"
#include "tests/cluster/lib/cluster.h"

enum { COUNT = 100, VALUE_SIZE = 8 << 20, CLIENT_MS = 60000 };

static FILE *connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval timeout = {.tv_sec = CLIENT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CLUSTER_CHECK(fd >= 0);
    CLUSTER_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
    CLUSTER_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    FILE *stream = fdopen(fd, "r+");
    CLUSTER_CHECK(stream != NULL);
    return stream;
}

static void value_read(FILE *stream, uint8_t *value, unsigned which)
{
    char line[256];
    CLUSTER_CHECK(fgets(line, sizeof(line), stream) != NULL);
    if (line[0] != '$')
        cluster_fail("GET %u of %d in one send is answered %s", which, COUNT, line);
    CLUSTER_CHECK(strtoul(line + 1, NULL, 10) == VALUE_SIZE);
    CLUSTER_CHECK(fread(value, 1, VALUE_SIZE + 2, stream) == VALUE_SIZE + 2);
    CLUSTER_CHECK(value[0] == 'v' && value[VALUE_SIZE - 1] == 'v');
}

int main(void)
{
    static struct cluster cluster;
    struct cluster_options options = {.nodes = 3, .shards = 3};
    cluster_start(&cluster, &options);
    struct client *client = client_open(cluster.port, CLIENT_MS);
    uint8_t *value = malloc(VALUE_SIZE + 2);
    CLUSTER_CHECK(value != NULL);
    memset(value, 'v', VALUE_SIZE);
    struct base_bytes words[] = {base_bytes_text("SET"), base_bytes_text("large"),
                                 base_bytes_of(value, VALUE_SIZE)};
    while (client_call(client, 3, words).outcome != CLIENT_OK)
        printf("SET again\n");
    FILE *stream = connect_to(cluster.port);
    for (unsigned i = 0; i < COUNT; i++)
        CLUSTER_CHECK(fputs("GET large\r\n", stream) >= 0);
    CLUSTER_CHECK(fflush(stream) == 0);
    for (unsigned i = 0; i < COUNT; i++)
        value_read(stream, value, i);
    fclose(stream);
    free(value);
    client_close(client);
    cluster_stop(&cluster);
    return 0;
}

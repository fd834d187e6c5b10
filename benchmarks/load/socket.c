#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "benchmarks/load/load.h"

int load_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        load_die("port %u: %s", (unsigned)port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

void load_connect_all(struct load *load, const unsigned *port_indices, unsigned count)
{
    for (unsigned i = 0; i < load->options.connections; i++) {
        struct load_connection *connection = &load->connections[i];
        connection->port_index = port_indices[i % count];
        connection->fd = load_connect(load->options.ports[connection->port_index]);
        connection->in = base_alloc(base_allocator_system(), LOAD_BUFFER_SIZE);
        connection->out = base_alloc(base_allocator_system(), LOAD_BUFFER_SIZE);
    }
}

void load_disconnect_all(struct load *load)
{
    for (unsigned i = 0; i < load->options.connections; i++) {
        close(load->connections[i].fd);
        base_free(base_allocator_system(), load->connections[i].in, LOAD_BUFFER_SIZE);
        base_free(base_allocator_system(), load->connections[i].out, LOAD_BUFFER_SIZE);
    }
}

void load_put(struct load_connection *connection, const void *data, size_t size)
{
    if (size > LOAD_BUFFER_SIZE - connection->out_size)
        load_die("a round is over %d bytes: smaller values or a shorter pipeline",
                 LOAD_BUFFER_SIZE);
    memcpy(connection->out + connection->out_size, data, size);
    connection->out_size += size;
}

/* It may wait: the server reads what one connection has under way without waiting for us. */
void load_flush(struct load_connection *connection)
{
    size_t written = 0;
    while (written < connection->out_size) {
        ssize_t count = send(connection->fd, connection->out + written,
                             connection->out_size - written, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            load_die("write: %s", strerror(errno));
        written += count > 0 ? (size_t)count : 0;
    }
    connection->out_size = 0;
}

void load_fill(struct load_connection *connection)
{
    if (connection->in_size == LOAD_BUFFER_SIZE)
        load_die("a reply is over %d bytes", LOAD_BUFFER_SIZE);
    ssize_t count = read(connection->fd, connection->in + connection->in_size,
                         LOAD_BUFFER_SIZE - connection->in_size);
    if (count == 0)
        load_die("the server closed a connection");
    if (count < 0)
        load_die("read: %s", strerror(errno));
    connection->in_size += (size_t)count;
}

void load_drop(struct load_connection *connection, size_t used)
{
    connection->in_size -= used;
    memmove(connection->in, connection->in + used, connection->in_size);
}

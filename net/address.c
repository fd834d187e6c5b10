#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_SIZE_MAX = 64 };

static const char shape_flaw[] =
    "expected tcp://IP:PORT, for example tcp://127.0.0.1:7401 or tcp://[::1]:7401";
static const char open_flaw[] =
    "it can be reached from other machines, and there are no keys yet: listen on 127.0.0.1 or "
    "[::1], or set insecure: true";

static bool port_is_valid(const char *port)
{
    if (strcmp(port, "*") == 0)
        return true;
    size_t digits = strspn(port, "0123456789");
    if (digits == 0 || digits > 5 || port[digits] != '\0')
        return false;
    long number = strtol(port, NULL, 10);
    return number >= 1 && number <= 65535;
}

/* Splits off "tcp://" and the port; the host keeps no brackets. False: not of that shape. */
static bool host_of(const char *address, char host[HOST_SIZE_MAX], bool *ret_bracketed)
{
    static const char scheme[] = "tcp://";
    if (strncmp(address, scheme, sizeof(scheme) - 1) != 0)
        return false;
    const char *start = address + sizeof(scheme) - 1;
    const char *colon = strrchr(start, ':');
    if (colon == NULL || colon == start || !port_is_valid(colon + 1))
        return false;
    const char *end = colon;
    bool bracketed = *start == '[' && end[-1] == ']';
    if (bracketed) {
        start++;
        end--;
    }
    if (end <= start || end - start >= HOST_SIZE_MAX)
        return false;
    snprintf(host, HOST_SIZE_MAX, "%.*s", (int)(end - start), start);
    *ret_bracketed = bracketed;
    return true;
}

const char *net_address_flaw(const char *address, bool insecure)
{
    char host[HOST_SIZE_MAX];
    bool bracketed;
    if (!host_of(address, host, &bracketed))
        return shape_flaw;
    struct in_addr four;
    struct in6_addr six;
    bool loopback = false;
    if (bracketed) {
        if (inet_pton(AF_INET6, host, &six) != 1)
            return shape_flaw;
        loopback = IN6_IS_ADDR_LOOPBACK(&six);
    } else if (inet_pton(AF_INET, host, &four) == 1) {
        loopback = ntohl(four.s_addr) >> 24 == 127;
    } else if (strcmp(host, "*") != 0) {
        return shape_flaw;
    }
    return loopback || insecure ? NULL : open_flaw;
}

bool net_address_is_peer(const char *address)
{
    char host[HOST_SIZE_MAX];
    bool bracketed;
    const char *last = strrchr(address, ':');
    return host_of(address, host, &bracketed) && strcmp(last, ":*") != 0 &&
           strcmp(host, "*") != 0 && strpbrk(host, " /;[]") == NULL;
}

/*
 * router/crc64 -- the checksum at the end of what DUMP gives: CRC-64 after Jones, reflected, from
 * 0.
 */
#ifndef TORC_ROUTER_CRC64_H
#define TORC_ROUTER_CRC64_H

#include <stdint.h>

#include "base/bytes.h"

uint64_t router_crc64(struct base_bytes bytes);

#endif /* TORC_ROUTER_CRC64_H */

/*
 * shard/driver/format -- `torc-shard format`: makes a data directory, once (DESIGN section 12).
 */
#ifndef TORC_SHARD_DRIVER_FORMAT_H
#define TORC_SHARD_DRIVER_FORMAT_H

/* argv[0] is "format". Prints "storage=HEX32" and returns 0, or says what is wrong on standard
 * error and returns 2 (the command line) or 1 (the directory). */
int shard_driver_format(int argc, char **argv);

#endif /* TORC_SHARD_DRIVER_FORMAT_H */

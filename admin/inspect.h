/*
 * admin/inspect -- looking at one key and at the ring.
 */
#ifndef TORC_ADMIN_INSPECT_H
#define TORC_ADMIN_INSPECT_H

int admin_key_main(int argc, char **argv);
int admin_ring_main(int argc, char **argv);

#endif /* TORC_ADMIN_INSPECT_H */

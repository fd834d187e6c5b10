/*
 * admin/dev -- `torc-admin dev ...`: a real cluster on this machine, in one directory.
 */
#ifndef TORC_ADMIN_DEV_H
#define TORC_ADMIN_DEV_H

int admin_dev_up_main(int argc, char **argv);
int admin_dev_ps_main(int argc, char **argv);
int admin_dev_restart_main(int argc, char **argv);
int admin_dev_down_main(int argc, char **argv);

#endif /* TORC_ADMIN_DEV_H */

/*
 * base/version -- of torc, as INFO and the status show it.
 */
#ifndef TORC_BASE_VERSION_H
#define TORC_BASE_VERSION_H

#define TORC_VERSION "0.1.0"

#endif /* TORC_BASE_VERSION_H */

/*
 * admin/progress -- how far a long task is: a bar with rate and time left that redraws itself on a
 * terminal, a plain line now and then elsewhere.
 */
#ifndef TORC_ADMIN_PROGRESS_H
#define TORC_ADMIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct admin_progress {
    FILE *out;
    const char *label; /* "loading" */
    const char *unit;  /* "keys" */
    uint64_t total;
    uint64_t start_ms, shown_ms;
    bool terminal;
};

/* `label` and `unit` are borrowed. */
void admin_progress_start(struct admin_progress *progress, FILE *out, const char *label,
                          const char *unit, uint64_t total);
/* Cheap: draws at most ten times a second, prints at most every five. */
void admin_progress_show(struct admin_progress *progress, uint64_t done);
/* Ends the drawing, so that other output can follow. */
void admin_progress_end(struct admin_progress *progress, uint64_t done);

#endif /* TORC_ADMIN_PROGRESS_H */

/*
 * tests/lib/scratch -- a directory of its own for a test, under TEST_TMPDIR or the system's.
 */
#ifndef TORC_TESTS_LIB_SCRATCH_H
#define TORC_TESTS_LIB_SCRATCH_H

enum { SCRATCH_PATH_SIZE = 512 };

/* Makes the directory; its path is written into dir, which is returned. */
char *scratch_make(char dir[SCRATCH_PATH_SIZE]);
/* Removes it and all that is in it. */
void scratch_remove(const char *dir);
/* Makes or replaces DIR/name with this text. */
void scratch_write(const char *dir, const char *name, const char *text);

#endif /* TORC_TESTS_LIB_SCRATCH_H */

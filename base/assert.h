/*
 * base/assert -- TORC_ASSERT: on in every build, free of side effects, depends on nothing.
 *
 * For what must be true by our own code. Input from outside is never asserted on: it is validated
 * and refused with TORC_MALFORMED.
 */
#ifndef TORC_BASE_ASSERT_H
#define TORC_BASE_ASSERT_H

/* Prints "assertion failed: EXPR at FILE:LINE" to standard error and aborts. */
_Noreturn void torc_assert_fail(const char *expression, const char *file, int line);

#define TORC_ASSERT(expression)                                                                    \
    ((expression) ? (void)0 : torc_assert_fail(#expression, __FILE__, __LINE__))

#endif /* TORC_BASE_ASSERT_H */

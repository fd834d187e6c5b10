/*
 * tests/history/text -- histories as text, and verdicts for people. Pure: text in memory.
 *
 * One line is one operation; lines may come in any order; empty lines and those beginning with '#'
 * do not count. Fields are name=value, separated by spaces; a value with a space, a quote, a
 * backslash or a byte that does not print stands in double quotes, with \" \\ and \xHH.
 *
 *   key=K process=N invoke=T op=get|put|delete|add|append|setrange
 *   value=V           what put, append, setrange write
 *   if=absent|present|version|value   put's condition; expect=V or expect_version=N beside it
 *   delta=N           of add;  offset=N  of setrange
 *   outcome=ok|refused|failed return=T, or outcome=unknown
 *   found=V           get, when ok: what it read; without it the key was absent
 *   number=N          when ok: delete 1 if it existed, else 0; add the sum; append, setrange the
 * size version=N         if the answer told one
 *
 *   key=cart process=3 invoke=120 op=put value="two words" outcome=ok return=188
 */
#ifndef TORC_TESTS_HISTORY_TEXT_H
#define TORC_TESTS_HISTORY_TEXT_H

#include "base/status.h"
#include "tests/history/check.h"

/* Histories by key, in the order in which keys were first seen. */
struct history_set {
    const struct base_allocator *allocator;
    struct history_values keys; /* A key's number is 1 plus the place of its history. */
    struct history *histories;
    size_t count, capacity;
};

void history_set_init(struct history_set *set, const struct base_allocator *allocator);
void history_set_fini(struct history_set *set);
/* The history of a key, made when new. Valid until the next key is made. */
struct history *history_set_of(struct history_set *set, struct base_bytes key);
/* The key of histories[place]. Valid for the set's life. */
struct base_bytes history_set_key(const struct history_set *set, size_t place);

/* Adds the operations of `text`. TORC_MALFORMED: *ret_line is the number of the first bad line, and
 * the lines before it have been added. */
enum torc_status history_text_read(struct history_set *set, struct base_bytes text,
                                   size_t *ret_line) TORC_MUST_CHECK;

/* Text that grows; always ends with a NUL that `size` does not count. */
struct history_text {
    const struct base_allocator *allocator;
    char *data; /* NULL until something is written. */
    size_t size, capacity;
};

void history_text_fini(struct history_text *text);
/* Appends one operation as a line that history_text_read takes. */
void history_text_write(struct history_text *text, struct base_bytes key,
                        const struct history *history, const struct history_op *op);
/* Appends what the verdict found: one line when all is well; else the end of the longest
 * linearizable beginning, the state after it, and the operations that could have come next. */
void history_text_report(struct history_text *text, struct base_bytes key,
                         const struct history *history, const struct history_verdict *verdict);

#endif /* TORC_TESTS_HISTORY_TEXT_H */

/*
 * tests/cluster/lib/grammar -- random commands for every row of the router's table, from one
 * grammar a row: what a command takes, what it nearly takes and what it does not.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_GRAMMAR_H
#define TORC_TESTS_CLUSTER_LIB_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "router/command.h"

/* How two replies to a command are compared. */
enum grammar_reply {
    GRAMMAR_SAME,      /* The same bytes. */
    GRAMMAR_TIME,      /* Integers of a clock: a few seconds apart. */
    GRAMMAR_UNORDERED, /* An array in any order. */
    GRAMMAR_ERRORS,    /* Errors to the byte; of anything else the type alone. */
    GRAMMAR_CLOSES,    /* As SAME; the connection ends. */
};

enum grammar_use {
    GRAMMAR_ANY,   /* On the keys of one lane, beside other lanes. */
    GRAMMAR_ALONE, /* Sees or changes all keys: with no other lane beside it. */
    GRAMMAR_EXACT, /* No words are added, lost or changed: what that made would harm redis-server.
                    */
    GRAMMAR_NEVER, /* `words` says why. */
};

struct grammar {
    const char *name; /* Of the row. */
    const char *words;
    enum grammar_reply reply;
    enum grammar_use use;
};

enum { GRAMMAR_WORDS_MAX = 40, GRAMMAR_TEXT_MAX = 6144, GRAMMAR_KEYS = 6 };

struct grammar_command {
    const struct grammar *grammar;
    size_t count, used;
    uint32_t begins[GRAMMAR_WORDS_MAX], sizes[GRAMMAR_WORDS_MAX];
    uint8_t text[GRAMMAR_TEXT_MAX];
};

/* The grammar of a row; NULL: none was written. */
const struct grammar *grammar_of(const char *name);
/* The name of a row without a grammar, or of a grammar without a row; NULL: there is none. */
const char *grammar_missing(void);

struct base_bytes grammar_word(const struct grammar_command *command, size_t i);
void grammar_add(struct grammar_command *command, struct base_bytes word);
/* The name of key `i` in a lane. With `{}` in it all keys of a lane are in one shard. */
void grammar_key(char ret_key[24], unsigned lane, unsigned i);
/* Makes a random command of a random row; ALONE rows only when `alone`. */
void grammar_make(struct grammar_command *command, struct base_prng *prng, unsigned lane,
                  bool alone);

#endif /* TORC_TESTS_CLUSTER_LIB_GRAMMAR_H */

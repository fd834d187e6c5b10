/*
 * paxos/paxos -- Multi-Paxos behind consensus.h. README.md beside this file has the message table.
 */
#ifndef TORC_PAXOS_PAXOS_H
#define TORC_PAXOS_PAXOS_H

#include "paxos/consensus.h"

extern const struct consensus_type paxos_type;

/* Values of consensus_message.type. They travel: numbers are never reused. */
enum paxos_message_type {
    PAXOS_CANVASS = 1,     /* Candidate to voters: would you promise? */
    PAXOS_CANVASS_REPLY,   /* flags PAXOS_YES: yes. */
    PAXOS_PREPARE,         /* Candidate to voters: promise, and report from slot `first` on. */
    PAXOS_PROMISE,         /* Promised, durably; a chunk of what was accepted. */
    PAXOS_ACCEPT,          /* Leader to all: accept these entries at this ballot. */
    PAXOS_ACCEPTED,        /* [first, last] are accepted at this ballot, durably, or chosen. */
    PAXOS_REFUSED,         /* To a candidate or leader: `other` is promised instead. */
    PAXOS_HEARTBEAT,       /* Leader to all: I lead; this is chosen. Opens a round. */
    PAXOS_HEARTBEAT_REPLY, /* I have promised nothing above your ballot. */
    PAXOS_LEARN,           /* To the leader: what was chosen in [first, last]? */
    PAXOS_LEARNED,         /* These entries are chosen. */
    PAXOS_TRANSFER,        /* Leader to a voter: take over now. */
};

/* Bits of consensus_message.flags. */
enum {
    PAXOS_YES = 1,       /* CANVASS_REPLY */
    PAXOS_BEHIND = 2,    /* CANVASS_REPLY, REFUSED: you lack slots that I can no longer report. */
    PAXOS_END = 4,       /* PROMISE: nothing was accepted above `last`. */
    PAXOS_HANDOVER = 8,  /* PREPARE: the leader of ballot `other` gave up its lease for this. */
    PAXOS_AMNESIAC = 16, /* HEARTBEAT_REPLY: do not count me. */
    PAXOS_GONE = 32,     /* LEARNED: nobody's log here holds `first` any more. */
};

#endif /* TORC_PAXOS_PAXOS_H */

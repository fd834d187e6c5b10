#include "paxos/paxos_int.h"

const char *paxos_message_name(uint8_t type)
{
    static const char *const names[] = {
        [PAXOS_CANVASS] = "CANVASS",
        [PAXOS_CANVASS_REPLY] = "CANVASS_REPLY",
        [PAXOS_PREPARE] = "PREPARE",
        [PAXOS_PROMISE] = "PROMISE",
        [PAXOS_ACCEPT] = "ACCEPT",
        [PAXOS_ACCEPTED] = "ACCEPTED",
        [PAXOS_REFUSED] = "REFUSED",
        [PAXOS_HEARTBEAT] = "HEARTBEAT",
        [PAXOS_HEARTBEAT_REPLY] = "HEARTBEAT_REPLY",
        [PAXOS_LEARN] = "LEARN",
        [PAXOS_LEARNED] = "LEARNED",
        [PAXOS_TRANSFER] = "TRANSFER",
    };
    return type < sizeof(names) / sizeof(*names) && names[type] != NULL ? names[type] : "UNKNOWN";
}

static bool ballot_valid(struct base_ballot ballot)
{
    return ballot.round >> PAXOS_ROUND_BITS == 0;
}

static bool entries_valid(const struct consensus_message *message)
{
    uint64_t slot = 0;
    for (uint32_t i = 0; i < message->entry_count; i++) {
        const struct consensus_entry *entry = &message->entries[i];
        if (entry->slot <= slot || entry->slot < message->first || entry->slot > message->last)
            return false;
        slot = entry->slot;
        bool value = entry->kind == CONSENSUS_VALUE;
        if (entry->kind < CONSENSUS_VALUE || entry->kind > CONSENSUS_BARRIER ||
            value != (entry->value != NULL))
            return false;
        if (base_ballot_is_none(entry->origin) ||
            base_ballot_compare(entry->origin, entry->ballot) > 0 ||
            base_ballot_compare(entry->ballot, message->ballot) > 0)
            return false;
    }
    return true;
}

/* Whether only the owner of the message's ballot sends such a message. */
static bool owner_speaks(uint8_t type)
{
    switch (type) {
    case PAXOS_CANVASS:
    case PAXOS_PREPARE:
    case PAXOS_ACCEPT:
    case PAXOS_HEARTBEAT:
    case PAXOS_LEARNED:
    case PAXOS_TRANSFER:
        return true;
    default:
        return false;
    }
}

static bool well_formed(const struct paxos *paxos, uint32_t from,
                        const struct consensus_message *message)
{
    if (message->to != paxos->config.replica || from == paxos->self ||
        from == CONSENSUS_MEMBERS_MAX || message->incarnation == 0)
        return false;
    if (base_ballot_is_none(message->ballot) || !ballot_valid(message->ballot) ||
        !ballot_valid(message->other))
        return false;
    if (message->last == UINT64_MAX || message->first > message->last + 1)
        return false;
    if (owner_speaks(message->type)) {
        const struct consensus_member *owner = &paxos->members[from];
        if (!owner->voter || message->ballot.node != owner->node ||
            message->ballot.incarnation != message->incarnation)
            return false;
    }
    return entries_valid(message);
}

static enum torc_status dispatch(struct paxos *paxos, uint32_t from,
                                 const struct consensus_message *message)
{
    switch ((enum paxos_message_type)message->type) {
    case PAXOS_CANVASS:
        return paxos_on_canvass(paxos, from, message);
    case PAXOS_CANVASS_REPLY:
        return paxos_on_canvass_reply(paxos, from, message);
    case PAXOS_PREPARE:
        return paxos_on_prepare(paxos, from, message);
    case PAXOS_PROMISE:
        return paxos_on_promise(paxos, from, message);
    case PAXOS_ACCEPT:
        return paxos_on_accept(paxos, from, message);
    case PAXOS_ACCEPTED:
        return paxos_on_accepted(paxos, from, message);
    case PAXOS_REFUSED:
        return paxos_on_refused(paxos, from, message);
    case PAXOS_HEARTBEAT:
        return paxos_on_heartbeat(paxos, from, message);
    case PAXOS_HEARTBEAT_REPLY:
        return paxos_on_heartbeat_reply(paxos, from, message);
    case PAXOS_LEARN:
        return paxos_on_learn(paxos, from, message);
    case PAXOS_LEARNED:
        return paxos_on_learned(paxos, from, message);
    case PAXOS_TRANSFER:
        return paxos_on_transfer(paxos, from, message);
    }
    return TORC_MALFORMED;
}

/* Takes a message of the present life of a peer, or of a later one: its clock and its memory are
 * others. What is refused says nothing of lives either. */
static enum torc_status take(struct paxos *paxos, uint32_t from,
                             const struct consensus_message *message)
{
    struct paxos_peer *peer = &paxos->peers[from];
    const struct paxos_peer known = *peer;
    if (message->incarnation < peer->incarnation)
        return TORC_STALE;
    if (message->incarnation > peer->incarnation) {
        peer->incarnation = message->incarnation;
        peer->answer_ms = 0;
        peer->amnesiac = false;
    }
    enum torc_status status = dispatch(paxos, from, message);
    if (status == TORC_MALFORMED)
        *peer = known;
    return status;
}

enum torc_status paxos_receive(struct paxos *paxos, const struct consensus_message *message)
{
    uint32_t from = paxos_member_of(paxos, message->from);
    if (!well_formed(paxos, from, message))
        return TORC_MALFORMED;
    enum torc_status status = take(paxos, from, message);
    if (status == TORC_MALFORMED)
        return status;
    if (message->ballot.round > paxos->round_max)
        paxos->round_max = message->ballot.round;
    if (message->other.round > paxos->round_max)
        paxos->round_max = message->other.round;
    if (status == TORC_STALE)
        paxos->counters.stale_dropped++;
    return status;
}

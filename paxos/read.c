/*
 * Reads. A quorum read notes the highest slot known chosen when it came, waits for the answers of a
 * majority to a round that was sent after that, and for the slot to be applied. All reads that are
 * there when a round is sent share it. One round is under way at a time: what comes meanwhile waits
 * for its confirmation, or for the next heartbeat should it be lost, and shares the next.
 */
#include "paxos/paxos_int.h"

bool paxos_lease_holds(const struct consensus *machine, uint64_t now_ms)
{
    const struct paxos *paxos = (const struct paxos *)machine;
    return paxos_serving(paxos) && !paxos->lease_dropped && now_ms < paxos->lease_until_ms;
}

void paxos_lease_renew(struct paxos *paxos, uint64_t sent_ms)
{
    if (PAXOS_MUTANT(LEASE_FROM_ANSWER))
        sent_ms = paxos->now_ms;
    uint64_t drift = paxos->config.clock_drift_per_mille;
    uint64_t until_ms = sent_ms + paxos->config.lease_ms * (1000 - drift) / 1000;
    if (until_ms > paxos->lease_until_ms)
        paxos->lease_until_ms = until_ms;
}

enum torc_status paxos_read(struct paxos *paxos, uint64_t id, enum consensus_read_mode mode)
{
    if (paxos->role != CONSENSUS_LEADER)
        return TORC_NOT_LEADER;
    if (paxos->read_count >= paxos->config.reads_max)
        return TORC_FULL;
    struct paxos_read read = {.id = id, .slot = paxos->chosen};
    /* What earlier leaders answered lies below the barrier, chosen or not as far as is known. */
    if (read.slot < paxos->barrier_slot && !PAXOS_MUTANT(READ_BEFORE_BARRIER))
        read.slot = paxos->barrier_slot;
    read.by_lease = mode == CONSENSUS_READ_LEASE && paxos_lease_holds(&paxos->base, paxos->now_ms);
    if (PAXOS_MUTANT(READ_ROUND_REUSED))
        read.round = paxos->confirmed;
    paxos->reads = base_array_reserve(paxos->allocator, paxos->reads, &paxos->read_capacity,
                                      paxos->read_count + 1, sizeof(*paxos->reads));
    paxos->reads[paxos->read_count++] = read;
    return TORC_OK;
}

static bool confirmed(const struct paxos *paxos, const struct paxos_read *read)
{
    if (PAXOS_MUTANT(READ_WITHOUT_ROUND))
        return true;
    return read->by_lease || (read->round != 0 && read->round <= paxos->confirmed);
}

static bool is_applied(const struct paxos *paxos, const struct paxos_read *read)
{
    return paxos->applied >= read->slot || PAXOS_MUTANT(READ_BEFORE_APPLIED);
}

void paxos_reads_join(struct paxos *paxos)
{
    for (uint32_t i = paxos->read_count; i-- > 0;) {
        struct paxos_read *read = &paxos->reads[i];
        if (read->round != 0)
            break; /* Those before it have one too. */
        if (!read->by_lease)
            read->round = paxos->round;
    }
}

void paxos_reads_ask(struct paxos *paxos)
{
    /* Newer ones were marked last, and those by lease have no need. */
    uint32_t i = paxos->read_count;
    while (i > 0 && paxos->reads[i - 1].by_lease)
        i--;
    if (i > 0 && paxos->reads[i - 1].round == 0 && paxos->confirmed == paxos->round)
        paxos_round_probe(paxos);
}

void paxos_reads_answer(struct paxos *paxos)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < paxos->read_count; i++) {
        const struct paxos_read *read = &paxos->reads[i];
        if (is_applied(paxos, read) && confirmed(paxos, read)) {
            struct consensus_read answer = {
                .id = read->id, .status = TORC_OK, .by_lease = read->by_lease};
            paxos_read_out(paxos, &answer);
        } else {
            paxos->reads[kept++] = *read;
        }
    }
    paxos->read_count = kept;
}

void paxos_reads_fail(struct paxos *paxos)
{
    for (uint32_t i = 0; i < paxos->read_count; i++) {
        struct consensus_read answer = {.id = paxos->reads[i].id, .status = TORC_NOT_LEADER};
        paxos_read_out(paxos, &answer);
    }
    paxos->read_count = 0;
}

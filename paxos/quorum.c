#include "paxos/quorum.h"

#include "base/assert.h"
#include "paxos/mutant.h"

uint32_t paxos_quorum_count(uint32_t mask)
{
    uint32_t count = 0;
    for (; mask != 0; mask &= mask - 1)
        count++;
    return count;
}

uint32_t paxos_quorum_size(uint32_t voter_count)
{
    TORC_ASSERT(voter_count > 0);
    if (PAXOS_MUTANT(QUORUM_OFF_BY_ONE))
        return voter_count == 1 ? 1 : voter_count / 2;
    return voter_count / 2 + 1;
}

bool paxos_quorum_reached(uint32_t mask, uint32_t voters)
{
    return paxos_quorum_count(mask & voters) >= paxos_quorum_size(paxos_quorum_count(voters));
}

uint64_t paxos_quorum_value(const uint64_t *values, uint32_t voters)
{
    TORC_ASSERT(voters != 0);
    /* A value is reached by a quorum when enough voters are at it or above: at most nine voters, so
     * the square is cheaper than a sort. */
    uint64_t best = 0;
    for (uint32_t i = 0; voters >> i != 0; i++) {
        uint32_t reached = 0;
        for (uint32_t j = 0; voters >> j != 0; j++) {
            if (values[j] >= values[i])
                reached |= UINT32_C(1) << j;
        }
        bool candidate = (voters >> i & 1) != 0 && values[i] > best;
        if (candidate && paxos_quorum_reached(reached, voters))
            best = values[i];
    }
    return best;
}

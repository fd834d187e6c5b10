/* Built for tests only, with TORC_MUTANTS. */
#include "paxos/mutant.h"

enum paxos_mutant paxos_mutant = PAXOS_MUTANT_NONE;

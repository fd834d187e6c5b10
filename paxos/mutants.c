#include "paxos/mutant.h"

#ifdef TORC_MUTANTS
enum paxos_mutant paxos_mutant = PAXOS_MUTANT_NONE;
#endif

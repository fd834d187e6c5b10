#include "base/mutant.h"

#ifdef TORC_MUTANTS
enum torc_mutant torc_mutant = TORC_MUTANT_NONE;
struct torc_mutant_place torc_mutant_place;
#endif

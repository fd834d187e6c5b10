#include "base/mutant.h"

#include <criterion/criterion.h>

/* In the product no planted bug can be switched on: each switch is the constant false. */
Test(mutant, none_is_in_the_product)
{
#define NONE(name, text) cr_assert_not(TORC_MUTANT(name));
    TORC_MUTANT_LIST(NONE)
#undef NONE
}

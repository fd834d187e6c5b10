/* The public header's statuses are those of base/status, number by number. */
#include "router/torc.h"

#include "base/status_list.h"

enum {
#define NUMBER(name, text) NUMBER_OF_##name,
    TORC_STATUS_LIST(NUMBER)
#undef NUMBER
};

#define SAME(name, text)                                                                           \
    _Static_assert((int)(name) == (int)NUMBER_OF_##name, #name " is another number in "            \
                                                               "base/status");
TORC_STATUS_LIST(SAME)
#undef SAME

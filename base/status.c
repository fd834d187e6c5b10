#include "base/status.h"

const char *torc_status_text(enum torc_status status)
{
    switch (status) {
#define TORC_STATUS_CASE(name, text)                                                               \
    case name:                                                                                     \
        return text;
        TORC_STATUS_LIST(TORC_STATUS_CASE)
#undef TORC_STATUS_CASE
    }
    return "not a status";
}

const char *torc_status_name(enum torc_status status)
{
    switch (status) {
#define TORC_STATUS_CASE(name, text)                                                               \
    case name:                                                                                     \
        return #name;
        TORC_STATUS_LIST(TORC_STATUS_CASE)
#undef TORC_STATUS_CASE
    }
    return "TORC_?";
}

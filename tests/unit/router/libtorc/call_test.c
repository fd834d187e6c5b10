#include "router/libtorc/call.h"

#include <criterion/criterion.h>

/* Operations are copied; a list gives its calls out in their order. */
Test(libtorc_call, lists_are_first_in_first_out)
{
    uint8_t ops[] = {1, 2, 3};
    struct libtorc_list list = {NULL, NULL};
    struct libtorc_call *calls[3];
    cr_assert_null(libtorc_list_take(&list));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            calls[i] = libtorc_call_new(base_bytes_of(ops, i), 1);
            cr_assert(calls[i]->ops_size == i && calls[i]->op_count == 1);
            libtorc_list_append(&list, calls[i]);
        }
        for (size_t i = 0; i < 3; i++) {
            struct libtorc_call *call = libtorc_list_take(&list);
            cr_assert_eq(call, calls[i]);
            cr_assert(i == 0 || (call->ops != ops && call->ops[i - 1] == ops[i - 1]));
            libtorc_call_free(call);
        }
        cr_assert_null(libtorc_list_take(&list));
    }
}

#include "admin/progress.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Into a file or pipe go plain lines: no bar, no control characters, and none when it was quick. */
Test(progress, plain_lines_without_a_terminal)
{
    char *text;
    size_t size;
    struct admin_progress progress;
    FILE *out = tmpfile();
    admin_progress_start(&progress, out, "loading", "keys", 100);
    admin_progress_show(&progress, 10);
    admin_progress_end(&progress, 100);
    cr_assert_eq(ftell(out), 0);
    fclose(out);

    out = open_memstream(&text, &size);
    progress = (struct admin_progress){
        .out = out, .label = "loading", .unit = "keys", .total = 1000, .terminal = false};
    admin_progress_show(&progress, 250); /* The last was shown when the machine started. */
    fclose(out);
    cr_assert_eq(strncmp(text, "loading  25%  250 of 1,000 keys  ", 33), 0, "%s", text);
    cr_assert_eq(text[size - 1], '\n');
    free(text);
}

/* On a terminal one line is drawn over and over, and ended once. */
Test(progress, a_bar_on_a_terminal)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct admin_progress progress = {
        .out = out, .label = "loading", .unit = "keys", .total = 10, .terminal = true};
    admin_progress_show(&progress, 5);
    admin_progress_end(&progress, 10);
    fclose(out);
    cr_assert_not_null(strstr(text, "\rloading [###############               ]  50%  5 of 10"));
    cr_assert_not_null(strstr(text, "\rloading [##############################] 100%  10 of 10"));
    cr_assert_eq(strchr(text, '\n'), text + size - 1);
    free(text);
}

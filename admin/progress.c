#include "admin/progress.h"

#include <string.h>
#include <unistd.h>

#include "admin/report.h"
#include "base/assert.h"

enum { BAR_WIDTH = 30, REDRAW_MS = 100, PRINT_MS = 5000 };

void admin_progress_start(struct admin_progress *progress, FILE *out, const char *label,
                          const char *unit, uint64_t total)
{
    TORC_ASSERT(total > 0);
    *progress = (struct admin_progress){.out = out, .label = label, .unit = unit, .total = total};
    progress->start_ms = progress->shown_ms = admin_now_ms();
    progress->terminal = isatty(fileno(out)) == 1;
}

static void draw(const struct admin_progress *progress, uint64_t done)
{
    char bar[BAR_WIDTH + 1], counts[3][ADMIN_NUMBER_SIZE], left[ADMIN_NUMBER_SIZE];
    uint64_t elapsed_ms = admin_now_ms() - progress->start_ms;
    uint64_t rate = done * 1000 / (elapsed_ms == 0 ? 1 : elapsed_ms);
    size_t filled = (size_t)(done * BAR_WIDTH / progress->total);
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    if (rate > 0)
        admin_duration((progress->total - done) * 1000 / rate, left);
    else
        snprintf(left, sizeof(left), "?");
    fprintf(progress->out, "%s%s %s%s%s%3u%%  %s of %s %s  %s/s  %s left%s",
            progress->terminal ? "\r" : "", progress->label, progress->terminal ? "[" : "",
            progress->terminal ? bar : "", progress->terminal ? "] " : "",
            (unsigned)(done * 100 / progress->total), admin_count(done, counts[0]),
            admin_count(progress->total, counts[1]), progress->unit, admin_count(rate, counts[2]),
            left, progress->terminal ? "\033[K" : "\n");
    fflush(progress->out);
}

void admin_progress_show(struct admin_progress *progress, uint64_t done)
{
    TORC_ASSERT(done <= progress->total);
    uint64_t now_ms = admin_now_ms();
    if (now_ms - progress->shown_ms < (uint64_t)(progress->terminal ? REDRAW_MS : PRINT_MS))
        return;
    progress->shown_ms = now_ms;
    draw(progress, done);
}

void admin_progress_end(struct admin_progress *progress, uint64_t done)
{
    if (!progress->terminal)
        return;
    draw(progress, done);
    fputc('\n', progress->out);
}

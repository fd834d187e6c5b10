#include "admin/options.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/report.h"
#include "base/assert.h"

static void help_print(const struct admin_usage *usage, const struct admin_option *options,
                       size_t option_count)
{
    printf("Usage: %s\n\n%s\nOptions:\n", usage->synopsis, usage->description);
    for (size_t i = 0; i < option_count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s %s", options[i].name,
                 options[i].value == NULL ? "" : options[i].value);
        printf("  %-20s %s\n", name, options[i].help);
    }
    printf("  %-20s %s\n\nExamples:\n%s", "--help", "this text", usage->examples);
}

static bool number_read(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0' || strlen(text) > 18)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *ret_number = number;
    return true;
}

/* 0, or 2 when the value is refused. */
static int option_take(const struct admin_option *option, const char *value)
{
    switch (option->type) {
    case ADMIN_OPTION_FLAG:
        *(bool *)option->target = true;
        return 0;
    case ADMIN_OPTION_NUMBER: {
        uint64_t number;
        if (!number_read(value, &number) || number < option->min || number > option->max)
            return admin_refuse("%s is '%s'; it must be a whole number from %" PRIu64
                                " to %" PRIu64,
                                option->name, value, option->min, option->max);
        *(uint64_t *)option->target = number;
        return 0;
    }
    case ADMIN_OPTION_TEXT:
        if (*value == '\0')
            return admin_refuse("%s is empty; it must be %s", option->name, option->value);
        *(const char **)option->target = value;
        return 0;
    case ADMIN_OPTION_TEXTS: {
        struct admin_texts *texts = option->target;
        if (texts->count == ADMIN_TEXTS_MAX)
            return admin_refuse("%s is given more than %d times", option->name, ADMIN_TEXTS_MAX);
        texts->items[texts->count++] = value;
        return 0;
    }
    }
    return 2;
}

/* The option that argv[*i] names, with its value and *i moved onto the last word of it; NULL: said.
 */
static const struct admin_option *option_find(const struct admin_usage *usage,
                                              const struct admin_option *options,
                                              size_t option_count, int argc, char **argv, int *i,
                                              const char **ret_value)
{
    const char *word = argv[*i];
    size_t size = strcspn(word, "=");
    for (size_t j = 0; j < option_count; j++) {
        if (strlen(options[j].name) != size || strncmp(options[j].name, word, size) != 0)
            continue;
        if (options[j].type == ADMIN_OPTION_FLAG) {
            if (word[size] == '=') {
                admin_refuse("%s takes no value", options[j].name);
                return NULL;
            }
            *ret_value = "";
        } else if (word[size] == '=') {
            *ret_value = word + size + 1;
        } else if (*i + 1 < argc) {
            *ret_value = argv[++*i];
        } else {
            admin_refuse("%s needs a value: %s %s", options[j].name, options[j].name,
                         options[j].value);
            return NULL;
        }
        return &options[j];
    }
    admin_refuse("there is no option %s; usage: %s", word, usage->synopsis);
    return NULL;
}

int admin_options_read(const struct admin_usage *usage, const struct admin_option *options,
                       size_t option_count, int argc, char **argv, size_t *ret_positional_count)
{
    size_t positional_count = 0;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[1 + positional_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            help_print(usage, options, option_count);
            return 0;
        } else {
            const char *value;
            const struct admin_option *option =
                option_find(usage, options, option_count, argc, argv, &i, &value);
            if (option == NULL || option_take(option, value) != 0)
                return 2;
        }
    }
    if (positional_count < usage->positional_min || positional_count > usage->positional_max) {
        return admin_refuse("%zu argument%s given; usage: %s", positional_count,
                            positional_count == 1 ? "" : "s", usage->synopsis);
    }
    *ret_positional_count = positional_count;
    return -1;
}

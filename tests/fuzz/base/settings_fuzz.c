/* Any bytes as a settings file: refused with a text that names the place, or taken, and then the
 * printed values are taken again. */
#include "base/settings.h"

#include <string.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct config {
    bool flag;
    uint64_t number, bytes, time_ms;
    char *text;
    struct base_settings_list list;
    int level;
    uint8_t id[BASE_SETTINGS_ID_SIZE];
};

#define AT(field) offsetof(struct config, field)
static const char *const levels[] = {"debug", "info", NULL};
static const struct base_settings_item items[] = {
    {"a", BASE_SETTINGS_BOOL, 0, 0, "false", AT(flag), "", NULL, NULL},
    {"b", BASE_SETTINGS_INTEGER, 0, UINT64_MAX, "1", AT(number), "", NULL, NULL},
    {"c.d", BASE_SETTINGS_SIZE, 0, UINT64_MAX, "1KiB", AT(bytes), "", NULL, NULL},
    {"c.e.f", BASE_SETTINGS_DURATION, 0, UINT64_MAX, "1s", AT(time_ms), "", NULL, NULL},
    {"g", BASE_SETTINGS_STRING, 0, 0, "", AT(text), "", NULL, NULL},
    {"h", BASE_SETTINGS_LIST, 0, 0, "x,y", AT(list), "", NULL, NULL},
    {"i", BASE_SETTINGS_ENUM, 0, 0, "info", AT(level), "", levels, NULL},
    {"j", BASE_SETTINGS_ID, 0, 0, NULL, AT(id), "", NULL, NULL},
};
enum { ITEM_COUNT = sizeof(items) / sizeof(items[0]) };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct base_settings_error error;
    struct base_settings *settings = base_settings_new(items, ITEM_COUNT, &config);
    if (base_settings_parse(settings, "f", base_bytes_of(data, size), &error) != TORC_OK) {
        TORC_ASSERT(strncmp(error.text, "f:", 2) == 0);
    } else {
        char value[4096], assignment[4200];
        for (size_t i = 0; i < ITEM_COUNT; i++) {
            base_settings_value(settings, i, value, sizeof(value));
            snprintf(assignment, sizeof(assignment), "%s=%s", base_settings_name(settings, i),
                     value);
            if (strlen(value) > 0 && strlen(value) < sizeof(value) - 1)
                TORC_ASSERT(base_settings_set(settings, assignment, &error) == TORC_OK);
        }
    }
    base_settings_free(settings);
    return 0;
}

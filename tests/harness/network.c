#include "tests/harness/harness.h"

#include <string.h>

void network_packet_free(struct harness *harness, struct harness_packet *packet)
{
    for (uint32_t i = 0; i < packet->message.entry_count; i++)
        base_buffer_unref(packet->entries[i].value);
    base_free(harness->allocator, packet->entries,
              packet->message.entry_count * sizeof(*packet->entries));
    base_free(harness->allocator, packet, sizeof(*packet));
}

static struct harness_packet *packet_copy(struct harness *harness,
                                          const struct consensus_message *message)
{
    struct harness_packet *packet = base_alloc_zero(harness->allocator, sizeof(*packet));
    packet->message = *message;
    if (message->entry_count > 0) {
        size_t size = message->entry_count * sizeof(*packet->entries);
        packet->entries = base_alloc(harness->allocator, size);
        memcpy(packet->entries, message->entries, size);
        for (uint32_t i = 0; i < message->entry_count; i++) {
            if (packet->entries[i].value != NULL)
                base_buffer_ref(packet->entries[i].value);
        }
    }
    packet->message.entries = packet->entries;
    return packet;
}

static void carry(struct harness *harness, uint32_t to, const struct consensus_message *message)
{
    const struct harness_options *options = &harness->options;
    uint64_t delay_us = harness_draw(harness, options->delay_us_min, options->delay_us_max);
    if (harness_chance(harness, options->stragglers))
        delay_us *= harness_draw(harness, 2, 100);
    /* A broken link may keep what it was given and deliver it when it works again. */
    if (harness->cut[message->from - 1][to])
        delay_us += harness_draw(harness, 0, 2 * options->fault_us_mean);
    harness_push(harness, (struct harness_event){.at_us = harness->now_us + delay_us,
                                                 .type = HARNESS_PACKET,
                                                 .node = to,
                                                 .packet = packet_copy(harness, message)});
}

void network_send(struct harness *harness, const struct consensus_message *message)
{
    uint32_t from = (uint32_t)message->from - 1, to = (uint32_t)message->to - 1;
    harness->coverage->messages++;
    bool lost = !harness->healed && harness_chance(harness, harness->options.loss);
    bool kept = harness_chance(harness, harness->options.kept_by_cuts);
    if (lost || (harness->cut[from][to] && !kept)) {
        harness->coverage->messages_lost++;
        return;
    }
    carry(harness, to, message);
    if (!harness->healed && harness_chance(harness, harness->options.duplicates)) {
        harness->coverage->messages_duplicated++;
        carry(harness, to, message);
    }
}

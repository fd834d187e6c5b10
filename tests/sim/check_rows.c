/* At rest the replicas of a group that are at one slot hold the same rows, byte for byte (S7), as
 * they stand in the store; and a key that expires stands in the index of expiries. */
#include "base/hlc.h"
#include "shard/keys.h"
#include "tests/sim/sim.h"

static const char spaces[] = "deg";
enum { ROWS_OVERDUE_MS = 3000 };

static struct store_iterator *iterate(const struct sim_host *host, char letter, uint32_t group)
{
    uint8_t first[SHARD_KEY_SPACE_SIZE], end[SHARD_KEY_SPACE_SIZE];
    shard_key_space_write(first, letter, group);
    shard_key_space_end_write(end, letter, group);
    return store_kv_iterate(host->gather, NULL, base_bytes_of(first, sizeof(first)),
                            base_bytes_of(end, sizeof(end)));
}

static void compare_space(struct sim *sim, const struct sim_host *one, const struct sim_host *other,
                          uint32_t group, char letter)
{
    struct store_iterator *of_one = iterate(one, letter, group);
    struct store_iterator *of_other = iterate(other, letter, group);
    struct base_bytes key, value, other_key, other_value;
    enum torc_status status;
    do {
        status = store_iterator_next(of_one, &key, &value);
        if (store_iterator_next(of_other, &other_key, &other_value) != status ||
            (status == TORC_OK &&
             (!base_bytes_equal(key, other_key) || !base_bytes_equal(value, other_value))))
            sim_fail(
                sim, "agreement",
                "S7: group %u: node %u and node %u are at one slot, and their rows '%c' differ",
                group, one->id, other->id, letter);
        sim->coverage->rows_compared++;
    } while (status == TORC_OK);
    store_iterator_free(of_one);
    store_iterator_free(of_other);
}

static bool is_indexed(const struct sim_host *host, uint32_t group, struct base_bytes row,
                       const struct shard_data *data)
{
    uint64_t token;
    struct base_bytes key;
    uint8_t at[SHARD_KEY_INDEX_SIZE + sizeof(((struct sim_key *)NULL)->name)];
    struct store_value found;
    if (shard_key_data_read(row, &token, &key) != TORC_OK ||
        key.size > sizeof(at) - SHARD_KEY_INDEX_SIZE)
        return false;
    shard_key_index_write(at, group, data->expiry_ms, token, key);
    if (store_kv_get(host->gather, NULL, base_bytes_of(at, SHARD_KEY_INDEX_SIZE + key.size),
                     &found) != TORC_OK)
        return false;
    store_value_release(&found);
    return true;
}

static void check_index(struct sim *sim, const struct sim_host *host, uint32_t group)
{
    struct store_iterator *rows = iterate(host, 'd', group);
    struct base_bytes key, value;
    while (store_iterator_next(rows, &key, &value) == TORC_OK) {
        struct shard_data data;
        if (shard_data_read(value, &data) != TORC_OK)
            sim_fail(sim, "agreement", "group %u: node %u has a row that does not decode", group,
                     host->id);
        if (data.expiry_ms != 0 && !is_indexed(host, group, key, &data))
            sim_fail(sim, "agreement",
                     "group %u: node %u has a key that expires and no index of it", group,
                     host->id);
    }
    store_iterator_free(rows);
}

/* Who leads with rot in its index finds nothing in it that is due; nothing rebuilds it yet. */
static bool is_rotten(const struct sim *sim, uint32_t group)
{
    uint32_t rotten = 0;
    for (uint32_t i = 0; i < sim->options.nodes; i++)
        rotten |= sim->hosts[i].rotten;
    return (rotten >> group & 1) != 0;
}

/* A row of the index that nothing stands for is left by a write that did not look what it replaced,
 * until its time has come; one that stands for a key must have that row's version, or the key would
 * never be removed. */
static void check_index_row(struct sim *sim, const struct sim_host *host, uint32_t group,
                            struct base_bytes row, struct base_bytes value)
{
    uint64_t expiry_ms, token, version;
    struct base_bytes key;
    uint8_t at[SHARD_KEY_DATA_SIZE + sizeof(((struct sim_key *)NULL)->name)];
    if (shard_key_index_read(row, &expiry_ms, &token, &key) != TORC_OK ||
        shard_index_read(value, &version) != TORC_OK || key.size > sizeof(at) - SHARD_KEY_DATA_SIZE)
        sim_fail(sim, "agreement", "group %u: node %u has a row of its index that does not decode",
                 group, host->id);
    if (!is_rotten(sim, group) && expiry_ms + ROWS_OVERDUE_MS < base_hlc_to_ms(sim->clocks[group]))
        sim_fail(sim, "agreement",
                 "group %u: node %u has key %.*s in its index until %llu, and it is %llu", group,
                 host->id, (int)key.size, (const char *)key.data, (unsigned long long)expiry_ms,
                 (unsigned long long)base_hlc_to_ms(sim->clocks[group]));
    struct store_value stored;
    struct shard_data data;
    shard_key_data_write(at, group, token, key);
    if (store_kv_get(host->gather, NULL, base_bytes_of(at, SHARD_KEY_DATA_SIZE + key.size),
                     &stored) != TORC_OK)
        return;
    bool same = shard_data_read(stored.bytes, &data) == TORC_OK && data.expiry_ms == expiry_ms;
    if (same && data.version != version)
        sim_fail(sim, "agreement",
                 "group %u: node %u has key %.*s at version %llu, in its index at %llu", group,
                 host->id, (int)key.size, (const char *)key.data, (unsigned long long)data.version,
                 (unsigned long long)version);
    store_value_release(&stored);
}

static void check_index_rows(struct sim *sim, const struct sim_host *host, uint32_t group)
{
    struct store_iterator *rows = iterate(host, 'e', group);
    struct base_bytes row, value;
    while (store_iterator_next(rows, &row, &value) == TORC_OK)
        check_index_row(sim, host, group, row, value);
    store_iterator_free(rows);
}

/* One whose state is to be like that of the others. */
static bool counts(const struct sim *sim, const struct sim_host *host, uint32_t group)
{
    const struct sim_host *leads = &sim->hosts[sim->leaders[group] - 1];
    return host->node != NULL && host->identity == SIM_GENUINE && !host->lost &&
           ((host->rotten | host->unborn) >> group & 1) == 0 &&
           host->applied[group] == leads->applied[group];
}

void check_rows(struct sim *sim)
{
    for (uint32_t g = 1; g <= sim->options.groups; g++) {
        const struct shard_map_group *members = &sim->map.groups[g];
        const struct sim_host *first = NULL;
        for (uint32_t i = 0; i < members->replica_count; i++) {
            const struct sim_host *host = &sim->hosts[members->replicas[i].node - 1];
            if (!counts(sim, host, g))
                continue;
            check_index(sim, host, g);
            check_index_rows(sim, host, g);
            for (const char *letter = spaces; first != NULL && *letter != '\0'; letter++)
                compare_space(sim, first, host, g, *letter);
            first = first == NULL ? host : first;
        }
    }
}

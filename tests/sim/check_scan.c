/* At rest SCAN goes over every key once, and DBSIZE counts them. All but the expiring ones are
 * there; of those, any may be. */
#include <string.h>

#include "base/assert.h"
#include "tests/sim/clients.h"

static bool any_whole(const struct sim *sim)
{
    bool any = false;
    for (uint32_t i = 0; i < sim->options.routers; i++)
        any |= sim->routers[i].is_whole;
    return any;
}

bool check_scan_is_over(const struct sim *sim)
{
    return sim->scan.over || !any_whole(sim);
}

void check_scan_ask(struct sim *sim, struct resp_out *out)
{
    sim->scan.waits = true;
    if (sim->scan.counting) {
        resp_command(out, 1);
        resp_arg_text(out, "DBSIZE");
        return;
    }
    resp_command(out, 4);
    resp_arg_text(out, "SCAN");
    resp_arg_number(out, (int64_t)sim->scan.cursor);
    resp_arg_text(out, "COUNT");
    resp_arg_number(out, (int64_t)sim_draw(sim, 1, 20));
}

void check_scan_given_up(struct sim *sim)
{
    sim->scan.waits = false;
}

static void note_key(struct sim *sim, struct base_bytes name)
{
    for (uint32_t i = 0; i < sim->key_count; i++) {
        struct sim_key *key = &sim->keys[i];
        if (strlen(key->name) != name.size || memcmp(key->name, name.data, name.size) != 0)
            continue;
        if (key->scanned)
            sim_fail(sim, "scan", "key %s is given out twice", key->name);
        key->scanned = true;
        return;
    }
    /* Of these there were others under former names. */
    const char *letter = resp_begins(name, "{tag}") ? "{tag}o" : "o";
    if (resp_begins(name, letter))
        return;
    sim_fail(sim, "scan", "key '%.*s' is given out and was never written", (int)name.size,
             (const char *)name.data);
}

static struct base_bytes next(struct sim *sim, struct base_bytes *rest, char type,
                              struct resp_reply *ret_element)
{
    size_t size;
    if (resp_read(*rest, ret_element, &size) != RESP_WHOLE || ret_element->type != type)
        sim_fail(sim, "scan", "the reply to SCAN is not a cursor and keys");
    *rest = base_bytes_of(rest->data + size, rest->size - size);
    return ret_element->bytes;
}

/* All that is there has been given out. */
static void judge(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->key_count; i++) {
        const struct sim_key *key = &sim->keys[i];
        if (!key->scanned && key->kind != SIM_KEY_EXPIRING && key->kind != SIM_KEY_OWN)
            sim_fail(sim, "scan", "key %s is there and not given out", key->name);
    }
    sim->scan.counting = true;
}

static void hear_keys(struct sim *sim, const struct resp_reply *reply)
{
    struct base_bytes rest = reply->bytes;
    struct resp_reply element;
    struct base_bytes cursor = next(sim, &rest, '$', &element);
    sim->scan.cursor = 0;
    for (size_t i = 0; i < cursor.size; i++)
        sim->scan.cursor = sim->scan.cursor * 10 + (uint64_t)(cursor.data[i] - '0');
    next(sim, &rest, '*', &element);
    rest = element.bytes;
    for (int64_t left = element.number; left > 0; left--)
        note_key(sim, next(sim, &rest, '$', &element));
    sim->coverage->scans++;
    if (sim->scan.cursor == 0)
        judge(sim);
}

static void hear_count(struct sim *sim, const struct resp_reply *reply)
{
    uint32_t lasting = 0, most = 0;
    for (uint32_t i = 0; i < sim->key_count; i++) {
        const struct sim_key *key = &sim->keys[i];
        lasting += key->kind != SIM_KEY_EXPIRING && key->kind != SIM_KEY_OWN;
        most += 1 + key->own.generation;
    }
    if (reply->number < lasting || reply->number > most)
        sim_fail(sim, "scan", "DBSIZE says %lld: %u keys are there, and at most %u more",
                 (long long)reply->number, lasting, most - lasting);
    sim->scan.over = true;
}

/* A leader whose state rotted says so, of what it can not walk over. */
static bool is_rotten(const struct sim *sim, const struct resp_reply *reply)
{
    uint32_t rotten = 0;
    for (uint32_t i = 0; i < sim->options.nodes; i++)
        rotten |= sim->hosts[i].rotten;
    return rotten != 0 && reply->type == '-' && resp_begins(reply->bytes, "ERR refused: damaged");
}

void check_scan_heard(struct sim *sim, const struct resp_reply *reply)
{
    sim->scan.waits = false;
    if (reply->type == '-' && resp_begins(reply->bytes, "TIMEOUT no answer: "))
        return; /* Once more. */
    if (is_rotten(sim, reply)) {
        sim->scan.over = true;
        return;
    }
    if (reply->type != (sim->scan.counting ? ':' : '*'))
        sim_fail(sim, "scan", "SCAN and DBSIZE are answered by '%c%.*s'", reply->type,
                 (int)reply->bytes.size, (const char *)reply->bytes.data);
    if (sim->scan.counting)
        hear_count(sim, reply);
    else
        hear_keys(sim, reply);
}

/*
 * script_test [--rewrite] FILE... -- runs scripts against consensus cores and compares what they
 * do.
 *
 * A script is text; lines that begin with "> " are commands, and what follows one, up to the next
 * command, comment (#) or empty line, is what it must print: the formatted readies of the replicas
 * that it touched. With --rewrite the files get what was printed instead: a rewrite is committed
 * only when it can be explained.
 *
 *   > world N [lease]     N voters, replicas 1..N; clocks at 1000 ms
 *   > tick R MS           replica R's clock goes on, and it is told so
 *   > sync R              its disk has all that it was given
 *   > deliver A B         the messages that wait from A to B, in order
 *   > drop A B            they are lost
 *   > run                 delivers and syncs until nothing is left, in the order of ids
 *   > propose R TEXT      > read R ID quorum|lease      > transfer R TO
 *   > crash R             its process ends; what is not synced is gone
 *   > start R             its next life
 *   > info R
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "paxos/paxos.h"
#include "tests/harness/disk.h"

enum { REPLICAS_MAX = 5, PACKETS_MAX = 256, LINE_MAX_SIZE = 1024, TEXT_MAX = 1 << 20 };

struct packet {
    uint64_t from, to; /* 0: delivered or dropped. */
    struct consensus_message message;
    struct consensus_entry *entries;
};

struct replica {
    struct consensus *machine;
    struct disk disk;
    uint64_t now_ms;
    uint32_t life;
    uint64_t applied;
    struct base_ballot barrier;
};

struct world {
    const struct base_allocator *allocator;
    struct base_pool pool;
    uint32_t count;
    uint32_t lease_ms;
    struct consensus_member members[REPLICAS_MAX];
    struct replica replicas[REPLICAS_MAX];
    struct packet packets[PACKETS_MAX];
    uint32_t packet_count;
    char *out; /* What was printed. */
    size_t out_size;
};

static void print(struct world *world, const char *text)
{
    size_t size = strlen(text);
    TORC_ASSERT(world->out_size + size < TEXT_MAX);
    memcpy(world->out + world->out_size, text, size + 1);
    world->out_size += size;
}

/* Each line of the text behind the replica's name. */
static void print_of(struct world *world, uint64_t r, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        char line[LINE_MAX_SIZE];
        snprintf(line, sizeof(line), "%llu: %.*s\n", (unsigned long long)r, (int)size, text);
        print(world, line);
        text += size + (text[size] == '\n');
    }
}

static void packet_free(struct world *world, struct packet *packet)
{
    for (uint32_t i = 0; i < packet->message.entry_count; i++)
        base_buffer_unref(packet->entries[i].value);
    base_free(world->allocator, packet->entries,
              packet->message.entry_count * sizeof(*packet->entries));
    *packet = (struct packet){.from = 0};
}

static void post(struct world *world, const struct consensus_message *message)
{
    TORC_ASSERT(world->packet_count < PACKETS_MAX);
    struct packet *packet = &world->packets[world->packet_count++];
    *packet = (struct packet){.from = message->from, .to = message->to, .message = *message};
    if (message->entry_count > 0) {
        size_t size = message->entry_count * sizeof(*packet->entries);
        packet->entries = base_alloc(world->allocator, size);
        memcpy(packet->entries, message->entries, size);
        for (uint32_t i = 0; i < message->entry_count; i++) {
            if (packet->entries[i].value != NULL)
                base_buffer_ref(packet->entries[i].value);
        }
    }
    packet->message.entries = packet->entries;
}

static enum torc_status step(struct world *world, uint64_t r, struct consensus_event event)
{
    struct replica *replica = &world->replicas[r - 1];
    TORC_ASSERT(replica->machine != NULL);
    event.now_ms = replica->now_ms;
    enum torc_status status = consensus_step(replica->machine, &event);
    consensus_check(replica->machine);
    if (status != TORC_OK) {
        char text[LINE_MAX_SIZE];
        snprintf(text, sizeof(text), "%s\n", torc_status_name(status));
        print_of(world, r, text);
    }
    return status;
}

static void load(struct world *world, uint64_t r, uint64_t first, uint64_t last)
{
    const struct disk *disk = &world->replicas[r - 1].disk;
    uint32_t count = 0;
    while (first + count <= last && disk_entry(disk, first + count) != NULL)
        count++;
    struct consensus_event event = {.type = CONSENSUS_LOADED};
    event.u.loaded.entries = disk_entry(disk, first);
    event.u.loaded.entry_count = count;
    (void)!step(world, r, event);
}

static void turn(struct world *world, uint64_t r)
{
    struct replica *replica = &world->replicas[r - 1];
    struct consensus_ready ready;
    consensus_ready(replica->machine, &ready);
    static char text[TEXT_MAX];
    consensus_format_ready(&paxos_type, &ready, text, sizeof(text));
    print_of(world, r, text);
    if (ready.record_count > 0)
        disk_append(&replica->disk, &ready);
    for (uint32_t i = 0; i < ready.message_count; i++)
        post(world, &ready.messages[i]);
    uint64_t load_first = ready.load_first, load_last = ready.load_last;
    if (ready.apply_count > 0) {
        replica->applied = ready.apply[ready.apply_count - 1].entry.slot;
        replica->barrier = ready.apply[ready.apply_count - 1].barrier;
        struct consensus_event event = {.type = CONSENSUS_APPLIED};
        event.u.applied_slot = replica->applied;
        (void)!step(world, r, event);
        turn(world, r);
    }
    if (load_first != 0) {
        load(world, r, load_first, load_last);
        turn(world, r);
    }
}

static void start(struct world *world, uint64_t r)
{
    struct replica *replica = &world->replicas[r - 1];
    TORC_ASSERT(replica->machine == NULL);
    replica->life++;
    struct consensus_config config = {
        .replica = r,
        .node = (uint32_t)r,
        .incarnation = replica->life,
        .members = world->members,
        .member_count = world->count,
        .heartbeat_interval_ms = 20,
        .election_timeout_ms = 100,
        .retransmit_timeout_ms = 30,
        .lease_ms = world->lease_ms,
        .window_entries_max = 8,
        .window_bytes_max = 4096,
        .cache_bytes_max = 4096,
        .message_bytes_max = 4096,
        .reads_max = 8,
        .seed = r,
    };
    TORC_ASSERT(consensus_config_check(&config) == TORC_OK);
    struct consensus_boot boot;
    struct consensus_entry *entries;
    disk_recover(&replica->disk, replica->applied, &boot, &entries);
    boot.barrier = replica->barrier;
    boot.lease_wait_ms = replica->life > 1 ? world->lease_ms : 0;
    replica->machine =
        consensus_new(&paxos_type, world->allocator, &config, &boot, replica->now_ms);
    if (entries != NULL)
        base_free(world->allocator, entries,
                  (replica->disk.last - replica->applied) * sizeof(*entries));
    turn(world, r);
}

static void crash(struct world *world, uint64_t r)
{
    struct replica *replica = &world->replicas[r - 1];
    consensus_free(replica->machine);
    replica->machine = NULL;
    disk_crash(&replica->disk, true, false);
}

static bool sync_one(struct world *world, uint64_t r)
{
    struct replica *replica = &world->replicas[r - 1];
    if (replica->machine == NULL || !disk_write(&replica->disk))
        return false;
    struct consensus_event event = {.type = CONSENSUS_PERSISTED};
    event.u.persisted_seq = disk_synced(&replica->disk);
    (void)!step(world, r, event);
    turn(world, r);
    return true;
}

/* What waits now from one to the other; not what it makes them send. */
static bool deliver(struct world *world, uint64_t from, uint64_t to, bool drop)
{
    uint32_t count = world->packet_count;
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        struct packet *packet = &world->packets[i];
        if (packet->from != from || packet->to != to)
            continue;
        any = true;
        if (!drop && world->replicas[to - 1].machine != NULL) {
            struct consensus_event event = {.type = CONSENSUS_RECEIVE};
            event.u.receive = &packet->message;
            (void)!step(world, to, event);
        }
        packet_free(world, packet);
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < world->packet_count; i++) {
        if (world->packets[i].from != 0)
            world->packets[left++] = world->packets[i];
    }
    world->packet_count = left;
    if (any && !drop && world->replicas[to - 1].machine != NULL)
        turn(world, to);
    return any;
}

static void run(struct world *world)
{
    for (bool any = true; any;) {
        any = false;
        for (uint64_t from = 1; from <= world->count; from++) {
            for (uint64_t to = 1; to <= world->count; to++)
                any |= deliver(world, from, to, false);
        }
        for (uint64_t r = 1; r <= world->count; r++)
            any |= sync_one(world, r);
    }
}

static void info(struct world *world, uint64_t r)
{
    static const char *const roles[] = {"", "follower", "candidate", "leader"};
    struct consensus_info info;
    consensus_info(world->replicas[r - 1].machine, &info);
    char text[LINE_MAX_SIZE];
    snprintf(text, sizeof(text), "%s%s leader=%llu chosen=%llu applied=%llu last=%llu\n",
             roles[info.role], info.serving ? " serving" : "", (unsigned long long)info.leader,
             (unsigned long long)info.chosen, (unsigned long long)info.applied,
             (unsigned long long)info.last);
    print_of(world, r, text);
}

static void world_clear(struct world *world)
{
    for (uint32_t i = 0; i < world->packet_count; i++)
        packet_free(world, &world->packets[i]);
    world->packet_count = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        crash(world, i + 1);
        disk_fini(&world->replicas[i].disk);
    }
    world->count = 0;
}

static void world_make(struct world *world, uint64_t count, bool lease)
{
    TORC_ASSERT(count > 0 && count <= REPLICAS_MAX);
    world_clear(world);
    world->count = (uint32_t)count;
    world->lease_ms = lease ? 50 : 0;
    for (uint32_t i = 0; i < count; i++) {
        world->members[i] =
            (struct consensus_member){.replica = i + 1, .node = i + 1, .voter = true};
        world->replicas[i] = (struct replica){.now_ms = 1000};
        disk_init(&world->replicas[i].disk, &world->pool, NULL);
    }
    for (uint32_t i = 0; i < count; i++)
        start(world, i + 1);
}

static void propose(struct world *world, uint64_t r, const char *text)
{
    struct base_buffer *value = base_buffer_copy(&world->pool, base_bytes_text(text));
    struct consensus_event event = {.type = CONSENSUS_PROPOSE};
    event.u.propose = value;
    (void)!step(world, r, event);
    base_buffer_unref(value);
    turn(world, r);
}

static void read(struct world *world, uint64_t r, uint64_t id, bool lease)
{
    struct consensus_event event = {.type = CONSENSUS_READ};
    event.u.read.id = id;
    event.u.read.mode = lease ? CONSENSUS_READ_LEASE : CONSENSUS_READ_QUORUM;
    (void)!step(world, r, event);
    turn(world, r);
}

static void transfer(struct world *world, uint64_t r, uint64_t to)
{
    struct consensus_event event = {.type = CONSENSUS_TRANSFER};
    event.u.transfer_to = to;
    (void)!step(world, r, event);
    turn(world, r);
}

/* False: no such command. */
static bool command(struct world *world, const char *line)
{
    char verb[32] = "", word[64] = "", mode[32] = "";
    unsigned long long a = 0, b = 0;
    sscanf(line, "%31s %llu %63s %31s", verb, &a, word, mode);
    b = strtoull(word, NULL, 10);
    if (strcmp(verb, "world") == 0)
        world_make(world, a, strcmp(word, "lease") == 0);
    else if (strcmp(verb, "run") == 0)
        run(world);
    else if (a == 0 || a > world->count)
        return false;
    else if (strcmp(verb, "tick") == 0) {
        world->replicas[a - 1].now_ms += b;
        (void)!step(world, a, (struct consensus_event){.type = CONSENSUS_TICK});
        turn(world, a);
    } else if (strcmp(verb, "sync") == 0)
        sync_one(world, a);
    else if (strcmp(verb, "deliver") == 0 && b > 0 && b <= world->count)
        deliver(world, a, b, false);
    else if (strcmp(verb, "drop") == 0 && b > 0 && b <= world->count)
        deliver(world, a, b, true);
    else if (strcmp(verb, "propose") == 0)
        propose(world, a, word);
    else if (strcmp(verb, "read") == 0)
        read(world, a, b, strcmp(mode, "lease") == 0);
    else if (strcmp(verb, "transfer") == 0)
        transfer(world, a, b);
    else if (strcmp(verb, "crash") == 0)
        crash(world, a);
    else if (strcmp(verb, "start") == 0)
        start(world, a);
    else if (strcmp(verb, "info") == 0)
        info(world, a);
    else
        return false;
    return true;
}

/* Runs the script's commands and returns what the file should hold. */
static void play(struct world *world, const char *script)
{
    bool expected = false; /* Lines that a command must have printed: dropped. */
    while (*script != '\0') {
        size_t size = strcspn(script, "\n");
        char line[LINE_MAX_SIZE];
        TORC_ASSERT(size < sizeof(line) - 1);
        memcpy(line, script, size);
        line[size] = '\0';
        script += size + (script[size] == '\n');
        bool is_command = line[0] == '>' && line[1] == ' ';
        if (!is_command && expected && line[0] != '#' && line[0] != '\0')
            continue;
        expected = is_command;
        print(world, line);
        print(world, "\n");
        if (is_command && !command(world, line + 2)) {
            fprintf(stderr, "no such command: %s\n", line);
            exit(2);
        }
    }
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    static char text[TEXT_MAX];
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static bool compare(const char *path, const char *expected, const char *actual)
{
    uint32_t line = 1;
    while (*expected != '\0' && *expected == *actual) {
        line += *expected == '\n';
        expected++;
        actual++;
    }
    if (*expected == *actual)
        return true;
    fprintf(stderr, "%s:%u: differs from here on; what happened:\n%.400s\n", path, line, actual);
    return false;
}

int main(int argc, char **argv)
{
    static char out[TEXT_MAX];
    bool same = true, rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    for (int i = rewrite ? 2 : 1; i < argc; i++) {
        static struct world world;
        world = (struct world){.allocator = base_allocator_system(), .out = out};
        out[0] = '\0';
        base_pool_init(&world.pool, world.allocator, 1 << 20);
        const char *script = read_file(argv[i]);
        play(&world, script);
        world_clear(&world);
        base_pool_fini(&world.pool);
        if (rewrite) {
            FILE *file = fopen(argv[i], "w");
            TORC_ASSERT(file != NULL);
            fputs(out, file);
            fclose(file);
        } else {
            same = compare(argv[i], script, out) && same;
        }
    }
    return same ? 0 : 1;
}

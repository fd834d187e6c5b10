#include "shard/service.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/hlc.h"
#include "ring/token.h"
#include "shard/keys.h"
#include "tests/lib/group_rig.h"

enum {
    VNODE_BITS = 2,
    ROUTE = 5,
    PENDING_MAX = 6,
    READ_BATCHES_MAX = 3,
    VALUE_SIZE_MAX = 1 << 20,
    LEASE_MS = 150
};

static const struct wire_limits limits = {.key_size_max = 64,
                                          .value_size_max = VALUE_SIZE_MAX,
                                          .request_size_max = VALUE_SIZE_MAX + 1024};

/* A service in its rig, and one message of requests to it. */
struct bench {
    struct rig rig;
    struct shard_service *service;
    struct shard_birth birth;
    uint32_t vnodes[1 << VNODE_BITS];
    uint64_t number, sequence;
    uint8_t *message;
    size_t size;
    uint32_t count;
};

enum { MESSAGE_SIZE_MAX = 4 << 20 };

static void lead(struct rig *rig)
{
    struct bench *bench = rig->context;
    shard_service_lead(bench->service, &rig->clocks, &rig->turn);
    shard_service_check(bench->service);
}

static void bench_init(struct bench *bench, size_t pool_size, size_t entry_bytes_max,
                       uint32_t lease_ms)
{
    memset(bench, 0, sizeof(*bench));
    rig_init(&bench->rig, pool_size, lease_ms);
    bench->birth = (struct shard_birth){.vnode_bits = VNODE_BITS,
                                        .vnode_count = 1 << VNODE_BITS,
                                        .vnodes = bench->vnodes,
                                        .limits = limits};
    for (uint32_t i = 0; i < 1 << VNODE_BITS; i++)
        bench->vnodes[i] = i;
    struct shard_service_config config = {.machine = {.group = RIG_GROUP,
                                                      .vnode_bits = VNODE_BITS,
                                                      .limits = limits,
                                                      .request_time_max_ms = 60000,
                                                      .records_bytes_max = 1 << 20},
                                          .credit = 4,
                                          .pending_max = PENDING_MAX,
                                          .read_batches_max = READ_BATCHES_MAX,
                                          .read_mode = lease_ms > 0 ? CONSENSUS_READ_LEASE
                                                                    : CONSENSUS_READ_QUORUM,
                                          .entries_max = 1,
                                          .entry_bytes_max = entry_bytes_max};
    cr_assert_eq(shard_service_new(&config, &bench->birth, bench->rig.kv, &bench->rig.pool,
                                   bench->rig.allocator, &bench->service),
                 TORC_OK);
    rig_start(&bench->rig, RIG_GROUP, &shard_service_state, bench->service);
    shard_service_attach(bench->service, bench->rig.group);
    bench->rig.context = bench;
    bench->rig.lead = lead;
    bench->message = base_alloc(bench->rig.allocator, MESSAGE_SIZE_MAX);
}

static struct bench *bench_begin(void)
{
    static struct bench bench; /* Each test is a process. */
    bench_init(&bench, 8 << 20, 1 << 21, 0 /* lease */);
    rig_lead(&bench.rig);
    rig_run(&bench.rig, 10); /* Genesis. */
    return &bench;
}

static void bench_end(struct bench *bench)
{
    rig_stop(&bench->rig);
    shard_service_free(bench->service);
    base_free(bench->rig.allocator, bench->message, MESSAGE_SIZE_MAX);
    rig_fini(&bench->rig);
}

/* Adds a request to the message that may run until so much later. */
static void add_until(struct bench *bench, uint64_t number, uint64_t left_ms,
                      const struct wire_op *op)
{
    uint8_t *at = bench->message + bench->size;
    size_t room = MESSAGE_SIZE_MAX - bench->size;
    uint64_t last_time = base_hlc_from_ms(bench->rig.now_ms + RIG_WALL_MS + left_ms);
    size_t size = wire_request_begin(at, room, (struct wire_client_id){1, 2}, number, last_time, 0);
    size += wire_op_write(at + size, room - size, op);
    wire_request_end(at, size, 1);
    bench->size += size;
    bench->count++;
}

/* Adds a request to the message under a number of its own. */
static void add_as(struct bench *bench, uint64_t number, const struct wire_op *op)
{
    add_until(bench, number, 30000, op);
}

static uint64_t add(struct bench *bench, struct wire_op op)
{
    add_as(bench, ++bench->number, &op);
    return bench->number;
}

static struct wire_op get(const char *key)
{
    return (struct wire_op){.type = WIRE_OP_GET, .key = base_bytes_text(key)};
}

static struct wire_op put(const char *key, const char *value)
{
    return (struct wire_op){
        .type = WIRE_OP_PUT, .key = base_bytes_text(key), .value = base_bytes_text(value)};
}

static struct wire_op put_for(const char *key, uint64_t ms)
{
    struct wire_op op = put(key, "short-lived");
    op.expiry_mode = WIRE_EXPIRY_RELATIVE;
    op.b = ms;
    return op;
}

static struct wire_op increment(const char *key)
{
    return (struct wire_op){.type = WIRE_OP_ADD, .key = base_bytes_text(key), .a = 1};
}

/* Sends the message; `count` is what it claims to hold. */
static void send_claiming(struct bench *bench, uint64_t route, uint32_t count)
{
    struct shard_request_batch batch = {.route = route,
                                        .sequence = bench->sequence + 1,
                                        .request_count = count,
                                        .requests = base_bytes_of(bench->message, bench->size)};
    bench->sequence += bench->count;
    shard_service_request(bench->service, &batch, &bench->rig.clocks, &bench->rig.turn);
    bench->size = bench->count = 0;
}

static void send(struct bench *bench)
{
    send_claiming(bench, ROUTE, bench->count);
}

static enum wire_answer_status status_of(struct bench *bench, uint64_t number)
{
    const struct rig_answer *answer = rig_answer(&bench->rig, number);
    cr_assert_not_null(answer, "request %d has no answer", (int)number);
    return answer->status;
}

/* Every request of a message is answered once: writes, reads, both. */
Test(service, each_request_is_answered_once)
{
    struct bench *bench = bench_begin();
    for (int i = 0; i < 3; i++) {
        add(bench, put("a", "one"));
        add(bench, get("a"));
    }
    send(bench);
    rig_run(&bench->rig, 20);
    for (uint64_t number = 1; number <= bench->number; number++) {
        cr_assert_eq(status_of(bench, number), WIRE_DONE);
        cr_assert_eq(rig_answer(&bench->rig, number)->route, ROUTE);
    }
    cr_assert_eq(bench->rig.answer_count, bench->number);
    bench_end(bench);
}

/* A replica that does not lead says so for each request. */
Test(service, who_does_not_lead_says_so)
{
    static struct bench bench;
    bench_init(&bench, 1 << 20, 1 << 20, 0 /* lease */);
    uint64_t write = add(&bench, put("a", "one")), read = add(&bench, get("a"));
    send(&bench);
    rig_run(&bench.rig, 1);
    cr_assert_eq(status_of(&bench, write), WIRE_NOT_LEADER);
    cr_assert_eq(status_of(&bench, read), WIRE_NOT_LEADER);
    bench_end(&bench);
}

/* Past the bound on requests under way the answer is BUSY, for those that are over it alone. */
Test(service, a_full_table_of_requests_is_busy)
{
    struct bench *bench = bench_begin();
    for (int i = 0; i < PENDING_MAX + 2; i++)
        add(bench, put("a", "one"));
    send(bench);
    cr_assert_eq(shard_service_credit(bench->service, ROUTE), bench->sequence);
    rig_run(&bench->rig, 20);
    for (uint64_t number = 1; number <= bench->number; number++)
        cr_assert_eq(status_of(bench, number), number <= PENDING_MAX ? WIRE_DONE : WIRE_BUSY);
    cr_assert_eq(shard_service_credit(bench->service, ROUTE), bench->sequence + 4);
    bench_end(bench);
}

/* Past the bound on messages with reads it is BUSY too, and the places come back. */
Test(service, too_many_reads_are_busy)
{
    struct bench *bench = bench_begin();
    for (int round = 0; round < 3; round++) {
        uint64_t first = bench->number + 1;
        for (int i = 0; i < READ_BATCHES_MAX + 1; i++) {
            add(bench, get("a"));
            send(bench);
        }
        rig_run(&bench->rig, 20);
        for (uint64_t i = 0; i < READ_BATCHES_MAX; i++)
            cr_assert_eq(status_of(bench, first + i), WIRE_DONE);
        cr_assert_eq(status_of(bench, first + READ_BATCHES_MAX), WIRE_BUSY);
    }
    bench_end(bench);
}

static uint64_t last_slot(const struct bench *bench)
{
    struct consensus_info info;
    shard_group_info(bench->rig.group, &info);
    return info.last;
}

/* Writes that come while an entry is under way wait, and share the next one. */
Test(service, writes_that_wait_share_an_entry)
{
    struct bench *bench = bench_begin();
    uint64_t before = last_slot(bench);
    bench->rig.cut = true;
    for (int i = 0; i < 3; i++) {
        add(bench, put("a", "one"));
        send(bench);
        rig_turn(&bench->rig);
    }
    cr_assert_eq(last_slot(bench), before + 1);
    bench->rig.cut = false;
    rig_run(&bench->rig, 200);
    cr_assert_eq(last_slot(bench), before + 2);
    for (uint64_t number = 1; number <= bench->number; number++)
        cr_assert_eq(status_of(bench, number), WIRE_DONE);
    bench_end(bench);
}

/* Past a bound on their bytes they are BUSY, and those before the bound are done. */
Test(service, too_much_that_waits_is_busy)
{
    enum { VALUE_SIZE = 1 << 20, WRITES = 8 };
    struct bench *bench = bench_begin();
    bench->rig.cut = true;
    char *value = calloc(1, VALUE_SIZE);
    memset(value, 'v', VALUE_SIZE - 1);
    uint64_t first = add(bench, put("a", "under way"));
    send(bench);
    rig_turn(&bench->rig);
    for (int i = 0; i < WRITES; i++) {
        add(bench, put("a", value));
        send(bench);
        rig_turn(&bench->rig);
    }
    cr_assert_eq(status_of(bench, first + 3 + 1), WIRE_BUSY, "3 MiB and their heads wait");
    cr_assert_eq(status_of(bench, first + WRITES), WIRE_BUSY);
    bench->rig.cut = false;
    rig_run(&bench->rig, 200);
    for (uint64_t number = first; number <= first + 3; number++)
        cr_assert_eq(status_of(bench, number), WIRE_DONE);
    free(value);
    bench_end(bench);
}

/* A pool without room: reads are BUSY, writes wait for it. */
Test(service, a_full_pool_lets_writes_wait)
{
    struct bench *bench = bench_begin();
    struct base_pool *pool = &bench->rig.pool;
    size_t room = pool->bytes_max - pool->bytes_used - sizeof(struct base_buffer);
    struct base_buffer *hog = base_buffer_new(pool, room);
    cr_assert_not_null(hog);
    uint64_t write = add(bench, put("a", "one")), read = add(bench, get("a"));
    send(bench);
    rig_turn(&bench->rig);
    cr_assert_null(rig_answer(&bench->rig, write));
    cr_assert_eq(status_of(bench, read), WIRE_BUSY);
    base_buffer_unref(hog);
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, write), WIRE_DONE);
    bench_end(bench);
}

/* Who lost its leadership refuses what waited: nothing of it can have happened. */
Test(service, what_waited_under_a_lost_leadership_was_not_done)
{
    struct bench *bench = bench_begin();
    bench->rig.cut = true;
    uint64_t proposed = add(bench, put("a", "one"));
    send(bench);
    rig_turn(&bench->rig);
    uint64_t waiting = add(bench, put("a", "two"));
    send(bench);
    rig_turn(&bench->rig);
    rig_depose(&bench->rig);
    rig_run(&bench->rig, 2);
    cr_assert_eq(status_of(bench, proposed), WIRE_NO_ANSWER);
    cr_assert_eq(status_of(bench, waiting), WIRE_NOT_LEADER);
    bench_end(bench);
}

/* A message may claim more than it holds, or less. */
Test(service, a_lying_count_harms_nobody)
{
    struct bench *bench = bench_begin();
    uint64_t first = add(bench, put("a", "one"));
    send_claiming(bench, ROUTE, UINT32_MAX);
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, first), WIRE_DONE);
    uint64_t second = add(bench, put("a", "two")), third = add(bench, put("a", "three"));
    send_claiming(bench, ROUTE, 1);
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, second), WIRE_DONE);
    cr_assert_null(rig_answer(&bench->rig, third));
    bench->sequence = UINT64_MAX - 2;
    add(bench, put("a", "four"));
    send_claiming(bench, ROUTE, 1000);
    rig_run(&bench->rig, 20);
    cr_assert_eq(bench->rig.answer_count, 3);
    bench_end(bench);
}

/* What cannot be read is refused under its number; what is only too large hides nothing behind it.
 */
Test(service, unreadable_requests_are_refused)
{
    struct bench *bench = bench_begin();
    char key[100];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    uint64_t before = add(bench, put("a", "one")), large = add(bench, put(key, "one"));
    uint64_t after = add(bench, put("b", "two"));
    size_t bad_at = bench->size;
    uint64_t bad = add(bench, put("c", "three")), hidden = add(bench, put("d", "four"));
    bench->message[bad_at] = 99; /* No version that there is. */
    send(bench);
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, before), WIRE_DONE);
    cr_assert_eq(status_of(bench, large), WIRE_REFUSED);
    cr_assert_eq(rig_answer(&bench->rig, large)->detail, TORC_TOO_LARGE);
    cr_assert_eq(status_of(bench, after), WIRE_DONE);
    cr_assert_eq(status_of(bench, bad), WIRE_REFUSED);
    cr_assert_eq(rig_answer(&bench->rig, bad)->detail, TORC_MALFORMED);
    cr_assert_null(rig_answer(&bench->rig, hidden));
    bench_end(bench);
}

/* A request that says that it is larger than its message is refused, and nothing behind it is
 * looked for: there is nothing. */
Test(service, a_size_beyond_the_message_is_not_believed)
{
    const uint32_t sizes[] = {UINT32_MAX, limits.request_size_max + 1};
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_begin();
        uint64_t before = add(bench, put("a", "one"));
        size_t large_at = bench->size;
        uint64_t large = add(bench, put("b", "two")), hidden = add(bench, put("c", "three"));
        base_put_le32(bench->message + large_at + 4, sizes[i]);
        send(bench);
        rig_run(&bench->rig, 20);
        cr_assert_eq(status_of(bench, before), WIRE_DONE);
        cr_assert_eq(status_of(bench, large), WIRE_REFUSED);
        cr_assert_eq(rig_answer(&bench->rig, large)->detail, TORC_TOO_LARGE);
        cr_assert_null(rig_answer(&bench->rig, hidden));
        bench_end(bench);
    }
}

/* The leader's own kind of request is refused when it comes from outside. */
Test(service, internal_requests_are_refused)
{
    struct bench *bench = bench_begin();
    bench->size = shard_tick_write(bench->message, MESSAGE_SIZE_MAX);
    bench->count = 1;
    send(bench);
    rig_run(&bench->rig, 20);
    cr_assert_eq(bench->rig.answer_count, 1);
    cr_assert_eq(bench->rig.answers[0].status, WIRE_REFUSED);
    bench_end(bench);
}

/* Its record would outlive those that are kept: once the clock has gone on, it runs. */
Test(service, a_last_time_too_far_ahead_is_too_early)
{
    struct bench *bench = bench_begin();
    struct wire_op op = increment("n");
    add_until(bench, 7, 61000, &op);
    send_claiming(bench, 1, 1);
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, 7), WIRE_TOO_EARLY);
    rig_run(&bench->rig, 2000);
    add_until(bench, 8, 59500, &op);
    send_claiming(bench, 2, 1);
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, 8), WIRE_DONE);
    bench_end(bench);
}

/* A request that comes again while it is under way runs once and is answered where it came from
 * last; after it has run, from its record. */
Test(service, a_retry_is_answered_where_it_came_from_last)
{
    struct bench *bench = bench_begin();
    struct wire_op op = increment("n");
    add_as(bench, 7, &op);
    add_as(bench, 7, &op);
    send_claiming(bench, 1, 2);
    add_as(bench, 7, &op);
    send_claiming(bench, 2, 1);
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, 7), WIRE_DONE);
    cr_assert_eq(rig_answer(&bench->rig, 7)->route, 2);
    add_as(bench, 7, &op);
    send_claiming(bench, 3, 1);
    rig_run(&bench->rig, 20);
    cr_assert_eq(bench->rig.answer_count, 2);
    cr_assert_eq(bench->rig.answers[1].route, 3);
    cr_assert_eq(bench->rig.answers[1].value, 1);
    bench_end(bench);
}

/* More than an entry holds goes into several, and more than any holds is refused. */
Test(service, entries_are_bounded)
{
    static struct bench bench;
    enum { ENTRY_SIZE = 1000 };
    bench_init(&bench, 1 << 20, ENTRY_SIZE, 0 /* lease */);
    rig_lead(&bench.rig);
    rig_run(&bench.rig, 10);
    uint64_t records = bench.rig.records;
    char value[ENTRY_SIZE];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    uint64_t large = add(&bench, put("l", value));
    value[600] = '\0';
    uint64_t first = add(&bench, put("a", value)), second = add(&bench, put("b", value));
    uint64_t third = add(&bench, put("c", "small"));
    send(&bench);
    rig_run(&bench.rig, 20);
    cr_assert_eq(status_of(&bench, large), WIRE_REFUSED);
    cr_assert_eq(rig_answer(&bench.rig, large)->detail, TORC_TOO_LARGE);
    cr_assert_eq(status_of(&bench, first), WIRE_DONE);
    cr_assert_eq(status_of(&bench, second), WIRE_DONE);
    cr_assert_eq(status_of(&bench, third), WIRE_DONE);
    cr_assert_geq(bench.rig.records, records + 2);
    bench_end(&bench);
}

/* Leadership is lost with requests under way: writes hear that nobody knows, reads that they may
 * ask elsewhere. */
Test(service, losing_leadership_gives_up_what_is_pending)
{
    struct bench *bench = bench_begin();
    bench->rig.cut = true;
    uint64_t write = add(bench, put("a", "one")), read = add(bench, get("a"));
    send(bench);
    rig_depose(&bench->rig);
    rig_run(&bench->rig, 2);
    cr_assert_eq(status_of(bench, write), WIRE_NO_ANSWER);
    cr_assert_eq(status_of(bench, read), WIRE_NOT_LEADER);
    bench_end(bench);
}

/* A request may come in before the turn in which the new leader notices that it leads, and be lost
 * before that too: it is answered all the same, and its next copy is not taken for one under way.
 */
Test(service, a_leadership_of_no_turn_leaves_nothing_behind)
{
    struct bench *bench = bench_begin();
    rig_depose(&bench->rig);
    bench->rig.cut = false;
    bench->rig.lead = NULL;
    rig_lead(&bench->rig);
    uint64_t number = add(bench, put("a", "one"));
    bench->rig.cut = true;
    send(bench);
    rig_depose(&bench->rig);
    bench->rig.lead = lead;
    rig_run(&bench->rig, 2);
    cr_assert_eq(status_of(bench, number), WIRE_NOT_LEADER);
    bench_end(bench);
}

/* The same of reads: they hear that nobody leads here, whether consensus gives them up or refuses
 * them before the turn that notices. */
Test(service, a_lost_leadership_reads_nothing)
{
    struct bench *bench = bench_begin();
    uint64_t before = add(bench, get("a"));
    bench->rig.cut = true;
    send(bench);
    bench->rig.lead = NULL;
    rig_depose(&bench->rig);
    rig_run(&bench->rig, 2);
    cr_assert_eq(status_of(bench, before), WIRE_NOT_LEADER);
    uint64_t after = add(bench, get("a"));
    send(bench);
    rig_run(&bench->rig, 2);
    cr_assert_eq(status_of(bench, after), WIRE_NOT_LEADER);
    bench->rig.lead = lead;
    rig_run(&bench->rig, 2);
    bench_end(bench);
}

/* A read that meets a damaged row is refused, and so are those behind it in its message; what stood
 * before it is answered. */
Test(service, a_read_of_a_damaged_row_is_refused)
{
    struct bench *bench = bench_begin();
    uint64_t token = ring_token(base_bytes_text("bad"), VNODE_BITS);
    uint8_t key[SHARD_KEY_DATA_SIZE + 3];
    shard_key_data_write(key, RIG_GROUP, token, base_bytes_text("bad"));
    struct store_batch *batch = store_batch_new(bench->rig.allocator);
    store_batch_put(batch, base_bytes_of(key, sizeof(key)), base_bytes_text("rubbish"));
    cr_assert_eq(store_kv_write(bench->rig.kv, batch), TORC_OK);
    store_batch_free(batch);
    uint64_t numbers[3] = {add(bench, get("a")), add(bench, get("bad")), add(bench, get("b"))};
    send(bench);
    rig_run(&bench->rig, 10);
    cr_assert_eq(status_of(bench, numbers[0]), WIRE_DONE);
    for (int i = 1; i < 3; i++) {
        cr_assert_eq(status_of(bench, numbers[i]), WIRE_REFUSED);
        cr_assert_eq(rig_answer(&bench->rig, numbers[i])->detail, TORC_DAMAGED);
    }
    bench_end(bench);
}

/* A group that stops gives up what is pending. */
Test(service, a_stopped_group_answers)
{
    struct bench *bench = bench_begin();
    struct base_buffer *bad = base_buffer_copy(&bench->rig.pool, base_bytes_text("no entry"));
    cr_assert_eq(shard_group_propose(bench->rig.group, bad, bench->rig.now_ms), TORC_OK);
    base_buffer_unref(bad);
    uint64_t write = add(bench, put("a", "one")), read = add(bench, get("a"));
    send(bench);
    rig_run(&bench->rig, 20);
    cr_assert_neq(shard_group_trouble(bench->rig.group), TORC_OK);
    cr_assert_eq(status_of(bench, write), WIRE_NO_ANSWER);
    status_of(bench, read); /* It may have been safe before the entry was met. */
    uint64_t later = add(bench, put("a", "one"));
    send(bench);
    rig_turn(&bench->rig);
    cr_assert_eq(status_of(bench, later), WIRE_NOT_LEADER);
    cr_assert_eq(rig_answer(&bench->rig, later)->detail, 0);
    cr_assert_eq(shard_service_wake_at(bench->service, &bench->rig.clocks, bench->rig.now_ms),
                 UINT64_MAX);
    bench_end(bench);
}

/* A read of a key whose time has come while the group's clock stood still: the clock is moved by an
 * entry, then the read begins again and finds nothing. What stood before it was answered at once.
 */
Test(service, a_read_of_an_expired_key_has_the_clock_moved)
{
    struct bench *bench = bench_begin();
    add(bench, put_for("k", 50));
    add(bench, put("other", "stays"));
    send(bench);
    rig_run(&bench->rig, 20);
    /* The leader cannot remove it: what it would do by itself is left out. */
    bench->rig.lead = NULL;
    rig_run(&bench->rig, 100);
    uint64_t other = add(bench, get("other")), number = add(bench, get("k"));
    send(bench);
    rig_run(&bench->rig, 5);
    cr_assert_eq(status_of(bench, other), WIRE_DONE);
    cr_assert_null(rig_answer(&bench->rig, number));
    cr_assert(shard_service_has_work(bench->service));
    bench->rig.lead = lead;
    rig_run(&bench->rig, 20);
    cr_assert_eq(status_of(bench, number), WIRE_DONE);
    cr_assert_eq(rig_answer(&bench->rig, number)->kind, WIRE_RESULT_NIL);
    bench_end(bench);
}

/* Expired keys go without anybody asking for them, and the leader wakes for that. */
Test(service, expired_keys_are_removed)
{
    struct bench *bench = bench_begin();
    char key[16];
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        add(bench, put_for(key, 50));
    }
    send(bench);
    rig_run(&bench->rig, 5);
    uint64_t wake_at = shard_service_wake_at(bench->service, &bench->rig.clocks, bench->rig.now_ms);
    cr_assert_gt(wake_at, bench->rig.now_ms + 10);
    cr_assert_leq(wake_at, bench->rig.now_ms + 60);
    rig_run(&bench->rig, 200);
    struct shard_machine_info info;
    shard_machine_info(shard_service_machine(bench->service), &info);
    cr_assert_eq(info.next_expiry_ms, 0);
    cr_assert_eq(shard_service_wake_at(bench->service, &bench->rig.clocks, bench->rig.now_ms),
                 UINT64_MAX);
    bench_end(bench);
}

/* While writes of the state stall nothing is answered from a half-applied state and the leader
 * makes no entries from it; afterwards every answer comes. */
Test(service, a_stalled_state_keeps_its_answers)
{
    struct bench *bench = bench_begin();
    add(bench, put_for("k", 20));
    send(bench);
    rig_run(&bench->rig, 10);
    bench->rig.lead = NULL; /* A key has expired and waits for removal when the store stalls. */
    rig_run(&bench->rig, 30);
    store_sim_kv_faults_set(bench->rig.kv, (struct store_sim_kv_faults){.write_busy_ppm = 1000000});
    uint64_t write = add(bench, put("a", "one"));
    send(bench);
    bench->rig.lead = lead;
    rig_run(&bench->rig, 10);
    uint64_t read = add(bench, get("a"));
    send(bench);
    rig_run(&bench->rig, 100);
    cr_assert(shard_group_is_stalled(bench->rig.group));
    cr_assert_null(rig_answer(&bench->rig, write));
    cr_assert_null(rig_answer(&bench->rig, read));
    store_sim_kv_faults_set(bench->rig.kv, (struct store_sim_kv_faults){0});
    rig_run(&bench->rig, 50);
    cr_assert_eq(status_of(bench, write), WIRE_DONE);
    cr_assert_eq(status_of(bench, read), WIRE_DONE);
    cr_assert_eq(rig_answer(&bench->rig, read)->kind, WIRE_RESULT_BYTES);
    bench_end(bench);
}

/* Large answers come in messages of bounded size, and in more than one turn. */
Test(service, large_answers_are_spread)
{
    struct bench *bench = bench_begin();
    char *value = base_alloc(bench->rig.allocator, VALUE_SIZE_MAX);
    memset(value, 'v', VALUE_SIZE_MAX - 1);
    value[VALUE_SIZE_MAX - 1] = '\0';
    uint64_t write = add(bench, put("large", value));
    base_free(bench->rig.allocator, value, VALUE_SIZE_MAX);
    send(bench);
    rig_run(&bench->rig, 300);
    cr_assert_eq(status_of(bench, write), WIRE_DONE);
    enum { READS = 40 };
    uint64_t first = bench->number + 1, messages = bench->rig.reply_count;
    for (int i = 0; i < READS; i++)
        add(bench, get("large"));
    send(bench);
    size_t most = 0;
    for (int i = 0; i < 300; i++) {
        size_t before = bench->rig.answer_count;
        rig_turn(&bench->rig);
        if (bench->rig.answer_count - before > most)
            most = bench->rig.answer_count - before;
    }
    for (uint64_t i = 0; i < READS; i++)
        cr_assert_eq(status_of(bench, first + i), WIRE_DONE);
    cr_assert_leq(most * VALUE_SIZE_MAX, SHARD_REPLIES_BYTES_MAX + 2 * VALUE_SIZE_MAX);
    cr_assert_eq(bench->rig.reply_count - messages, READS);
    bench_end(bench);
}

/* Credit is a total per requester: what it has sent, or says it has, and room for more. */
Test(service, credit_follows_what_was_sent)
{
    struct bench *bench = bench_begin();
    cr_assert_eq(shard_service_credit(bench->service, ROUTE), 4);
    shard_service_heard(bench->service, ROUTE, 100);
    shard_service_heard(bench->service, ROUTE, 50);
    cr_assert_eq(shard_service_credit(bench->service, ROUTE), 104);
    shard_service_heard(bench->service, ROUTE, UINT64_MAX);
    cr_assert_eq(shard_service_credit(bench->service, ROUTE), UINT64_MAX);
    for (uint64_t route = 100; route < 100 + 2 * SHARD_SERVICE_ROUTES_MAX; route++)
        shard_service_heard(bench->service, route, 10);
    cr_assert_eq(shard_service_credit(bench->service, ROUTE), 4);
    bench_end(bench);
}

static struct bench *bench_begin_leased(void)
{
    static struct bench bench;
    bench_init(&bench, 8 << 20, 1 << 21, LEASE_MS);
    rig_lead(&bench.rig);
    rig_run(&bench.rig, 2 * LEASE_MS);
    return &bench;
}

/* Under a lease a read needs nobody; without one it waits for a majority (DESIGN section 4, rule
 * 7).
 */
Test(service, a_read_under_a_lease_asks_nobody)
{
    struct bench *bench = bench_begin_leased();
    bench->rig.cut = true;
    uint64_t early = add(bench, get("a"));
    send(bench);
    rig_turn(&bench->rig);
    cr_assert_eq(status_of(bench, early), WIRE_DONE);
    rig_run(&bench->rig, LEASE_MS);
    uint64_t late = add(bench, get("a"));
    send(bench);
    rig_run(&bench->rig, 5);
    cr_assert_null(rig_answer(&bench->rig, late));
    bench->rig.cut = false;
    rig_run(&bench->rig, 200);
    cr_assert_eq(status_of(bench, late), WIRE_DONE);
    bench_end(bench);
}

/* A process that stood still between a read's coming and its answer asks a majority after all. */
Test(service, a_lease_that_ran_out_meanwhile_is_none)
{
    struct bench *bench = bench_begin_leased();
    uint64_t read = add(bench, get("a"));
    send(bench);
    bench->rig.cut = true;
    bench->rig.now_ms += LEASE_MS;
    rig_run(&bench->rig, 5);
    cr_assert_null(rig_answer(&bench->rig, read));
    bench->rig.cut = false;
    rig_run(&bench->rig, 200);
    cr_assert_eq(status_of(bench, read), WIRE_DONE);
    bench_end(bench);
}

/* Adds a read that says how it is done. */
static uint64_t add_read(struct bench *bench, const char *key, uint8_t flags, uint64_t age_ms)
{
    enum { FLAGS_AT = 1, LAST_TIME_AT = 32 };
    size_t at = bench->size;
    uint64_t number = add(bench, get(key));
    bench->message[at + FLAGS_AT] = flags;
    base_put_le64(bench->message + at + LAST_TIME_AT, age_ms);
    return number;
}

/* Where reads go by lease, one that wants a quorum asks for it, beside others that do not. */
Test(service, a_read_may_want_a_quorum)
{
    static struct bench bench;
    bench_init(&bench, 8 << 20, 1 << 21, LEASE_MS);
    rig_lead(&bench.rig);
    rig_run(&bench.rig, 10);
    bench.rig.cut = true;
    uint64_t by_lease = add(&bench, get("a"));
    uint64_t by_quorum = add_read(&bench, "a", WIRE_REQUEST_QUORUM, 0);
    send(&bench);
    rig_run(&bench.rig, 1);
    cr_assert_eq(status_of(&bench, by_lease), WIRE_DONE);
    cr_assert_null(rig_answer(&bench.rig, by_quorum), "nobody answers the leader");
    bench.rig.cut = false;
    rig_run(&bench.rig, 200);
    cr_assert_eq(status_of(&bench, by_quorum), WIRE_DONE);
    bench_end(&bench);
}

/* A state that is young enough answers stale reads at once; else they are read as others are. */
Test(service, stale_reads_have_a_bound)
{
    struct bench *bench = bench_begin();
    rig_run(&bench->rig, 500);
    bench->rig.cut = true;
    rig_run(&bench->rig, 50);
    uint64_t young = add_read(bench, "a", WIRE_REQUEST_STALE, 10000);
    uint64_t old = add_read(bench, "a", WIRE_REQUEST_STALE, 5);
    send(bench);
    rig_turn(&bench->rig);
    cr_assert_eq(status_of(bench, young), WIRE_DONE);
    cr_assert_null(rig_answer(&bench->rig, old), "it waits for a quorum");
    bench->rig.cut = false;
    rig_run(&bench->rig, 200);
    cr_assert_eq(status_of(bench, old), WIRE_DONE);
    bench_end(bench);
}

/* A replica that does not know how old its state is does not answer from it. */
Test(service, a_state_of_unknown_age_answers_nothing)
{
    static struct bench bench;
    bench_init(&bench, 1 << 20, 1 << 20, 0 /* lease */);
    uint64_t number = add_read(&bench, "a", WIRE_REQUEST_STALE, UINT64_MAX);
    send(&bench);
    rig_run(&bench.rig, 1);
    cr_assert_eq(status_of(&bench, number), WIRE_NOT_LEADER);
    bench_end(&bench);
}

/* Nor does one whose turn has no more room, or whose state is damaged or stalled. */
Test(service, stale_reads_are_bounded_too)
{
    struct bench *bench = bench_begin();
    static char value[VALUE_SIZE_MAX + 1];
    memset(value, 'v', VALUE_SIZE_MAX);
    add(bench, put("a", value));
    send(bench);
    rig_run(&bench->rig, 500);
    size_t first = bench->number + 1, done = 0, busy = 0;
    for (int i = 0; i < 40; i++)
        add_read(bench, "a", WIRE_REQUEST_STALE, 10000);
    send(bench);
    rig_turn(&bench->rig);
    for (uint64_t number = first; number <= bench->number; number++) {
        done += status_of(bench, number) == WIRE_DONE;
        busy += status_of(bench, number) == WIRE_BUSY;
    }
    cr_assert(done > 0 && busy > 0 && done + busy == 40);
    bench_end(bench);
}

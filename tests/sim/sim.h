/*
 * tests/sim -- a whole cluster in one process, from one seed: same seed, same run, to the byte.
 *
 *   options.c   what a seed draws                 faults.c         what goes wrong, and when
 *   world.c     events in time, the run's phases  check_state.c    replicas agree
 *   network.c   messages and who hears whom       check_requests.c each request once, alike
 *   host.c      a node: the driver's loop         check_keys.c     what clients were told stays
 *   disk.c      its storage thread                check_history.c  linearizable per key
 *   router.c    a router: the driver's loop       check_owner.c    one owner per vnode
 *   clients.h   clients: RESP, or a library's     check_vote.c     an amnesiac is silent
 *   map.c       the cluster's first map           check_live.c     after healing all ends
 *   trace.c     the last events, for people       check_credit.c   none is sent too much
 *   trace_message.c ... and what messages say
 *   mutants.bzl planted bugs                      main.c           seeds, coverage, replay
 *   witness.c   what is seen of logs, messages    ledger.c         ... kept, slot by slot
 *   check_ballots.c    who proposes what          check_chosen.c   one value per slot
 *   check_promises.c   they never fall            check_durable.c  synced before it is said
 *   check_recovery.c   what a crash leaves        check_lease.c    one lease in true time
 *   check_reads.c      who answers leads          check_effects.c  requests act once
 *   check_own.c        every answer, of keys with one client at a time
 *   check_map.c        maps never go back         check_codec.c    bytes read are bytes written
 *   counters.c         what the cores count
 *   disk_recovery.c    a node's start            fault_links.c fault_crashes.c fault_disks.c
 *   faults.h           the faults by subject      fault_leaders.c fault_nodes.c
 *
 * The cores are the production ones, and messages are the bytes that production sends. Time is in
 * microseconds and true; each node has clocks of its own. A run: birth of the cluster without
 * faults; faults under load; then everything is healed, and within a bound every request must end,
 * every key be readable and every replica be at the same slot.
 */
#ifndef TORC_TESTS_SIM_SIM_H
#define TORC_TESTS_SIM_SIM_H

#include <stdio.h>

#include "base/hash.h"
#include "base/prng.h"
#include "router/router.h"
#include "shard/node.h"
#include "store/cache.h"
#include "store/gather.h"
#include "store/log.h"
#include "store/sim_device.h"
#include "store/sim_kv.h"
#include "tests/history/text.h"
#include "tests/sim/narrowing.h"
#include "wire/body.h"
#include "wire/dedup.h"

enum {
    SIM_NODES_MAX = 5,
    SIM_GROUPS_MAX = 5, /* With the placement group. */
    SIM_ROUTERS_MAX = 2,
    SIM_CLIENTS_MAX = 12,
    SIM_TOOL = SIM_NODES_MAX + SIM_ROUTERS_MAX, /* The place that sends the first map. */
    SIM_PLACES_MAX = SIM_TOOL + 1,              /* Nodes, then routers, then the tool. */
    SIM_OF_CLIENT = SIM_PLACES_MAX,             /* In the trace: plus its index; and all of them. */
    SIM_EVERYWHERE = SIM_OF_CLIENT + SIM_CLIENTS_MAX,
    SIM_VNODE_BITS_MAX = 7,
    SIM_KEY_SIZE_MAX = 63,
    SIM_LIMIT_KEY_SIZE_MAX = 4096,
    SIM_OWN_SIZE_MAX = 8192 + 256,
    SIM_OWN_PAST = 64,
    SIM_VALUE_SIZE_MAX = 3000, /* Of what is put: several of them fit into a value. */
    SIM_EVENTS_MAX = 200000,   /* Under way at once; more: messages breed. */
    SIM_TRACE_MAX = 4096,      /* Last events, of which a failure shows some. */
};

/* ---- Options
 * -------------------------------------------------------------------------------------- */

/* Each is a switch, and the row of the coverage table that counts how often it happened. */
#define SIM_FAULT_LIST(X)                                                                          \
    X(loss, true)        /* Messages are lost, anywhere. */                                        \
    X(duplicates, true)  /* ... arrive twice. */                                                   \
    X(damage, true)      /* ... arrive with a bit changed. */                                      \
    X(reorder, true)     /* ... overtake others of their link by a little. */                      \
    X(stragglers, true)  /* ... by far, or come when their sender has given up. */                 \
    X(lossy_links, true) /* A link loses most of what it is given, for a while. */                 \
    X(slow_links, true)  /* A link, or all of a node, takes up to a second longer. */              \
    X(partitions, true)  /* Links are cut: around one place, into two sides, one way. */           \
    X(shapes, true)      /* ... so that the nodes form a chain, a ring, a bridge or a star. */     \
    X(singled, true)     /* ... around the leader: alone, mute, deaf, or one follower left. */     \
    X(mending, true)     /* Cut links come back one by one. */                                     \
    X(flapping, true)    /* A link comes and goes. */                                              \
    X(crashes, true)     /* Processes die, the page cache lives. */                                \
    X(power, true)       /* Machines die: what was not synced is lost or kept. */                  \
    X(traps, true)   /* ... at a chosen step: of the disk, or between disk, state and network. */  \
    X(outages, true) /* Several or all of them at once. */                                         \
    X(ambush, true)  /* The leader is cut off while another node restarts. */                      \
    X(deposed, true) /* A leader that has handed over hears no other node. */                      \
    X(late_transfers, true) /* Who is to take over hears of it when nobody expects it any more. */ \
    X(candidates, true)     /* Who has just asked for promises dies; the others must agree. */     \
    X(usurpers, true)       /* The one that keeps a leader's lease restarts; another stands. */    \
    X(recovery, true)       /* They die again while they recover. */                               \
    X(birth, true)          /* ... while the cluster is being born. */                             \
    X(latecomers, true)     /* A node starts for the first time when the others serve. */          \
    X(torn, true)           /* A power loss tears inside of sectors. */                            \
    X(rot, true)            /* Bits of the log change. */                                          \
    X(state_rot, true)      /* Bits of the state change: what is read there fails its checksum. */ \
    X(misdirected, true)    /* A write of the log lands one sector further on. */                  \
    X(lost_writes, true)    /* ... never lands. */                                                 \
    X(lying, true)          /* Syncs of the log say done and are not; then the power goes. */      \
    X(write_errors, true)   /* A write or sync of the log fails. */                                \
    X(sync_errors, true)    /* A sync fails, and what it was for is never written. */              \
    X(log_full, true)       /* The log gets no new segment. */                                     \
    X(slow_disks, true)     /* Syncs take 10 to 100 times as long for a while. */                  \
    X(busy, true)           /* The state's store refuses writes for a moment. */                   \
    X(full, true)           /* ... for longer: its disk has no room. */                            \
    X(flush, true)          /* Its flushes take their time. */                                     \
    X(pauses, true)         /* Processes stand still and go on. */                                 \
    X(long_pauses, true)    /* ... for longer than leases and deadlines. */                        \
    X(slow_nodes, true)     /* Every turn of a node takes long, for a while. */                    \
    X(memory, true)         /* The pool for entries has little room. */                            \
    X(clocks, true)         /* Wall clocks are wrong, all run fast or slow. */                     \
    X(jumps, true)          /* Wall clocks jump, both ways. */                                     \
    X(drift, true)        /* A clock runs at half to twice its rate: beyond what leases allow. */  \
    X(wipes, true)        /* A node comes back empty. */                                           \
    X(old_copies, true)   /* ... from an old copy of its disk. */                                  \
    X(drains, true)       /* Leadership is handed over as before a planned stop. */                \
    X(routers, true)      /* Routers die. */                                                       \
    X(quitters, true)     /* Clients close their connections in the middle. */                     \
    X(slow_readers, true) /* ... read nothing for a while. */                                      \
    X(overload, true)     /* ... all ask without a pause, for a moment. */                         \
    X(garbage, true)      /* ... send what is no command. */                                       \
    X(late_copies, true)  /* ... ask once more long after the answer. */

enum sim_fault {
#define SIM_FAULT_ENUM(name, essential) SIM_FAULT_##name,
    SIM_FAULT_LIST(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        SIM_FAULT_COUNT,
};
enum { SIM_KINDS_MIN = 5 }; /* That happen in a run which is not narrowed. */
#define SIM_FAULTS_ALL ((UINT64_C(1) << SIM_FAULT_COUNT) - 1)

enum sim_key_kind {
    SIM_KEY_REGISTER, /* Everything may be done to it. */
    SIM_KEY_COUNTER,  /* Only added to. */
    SIM_KEY_LIST,     /* Only appended to: unique words. */
    SIM_KEY_EXPIRING, /* Put with a time to live. */
    SIM_KEY_OWN,      /* Everything, by one client at a time. */
    SIM_KEY_KINDS,
};

struct sim_options {
    uint64_t seed;
    uint32_t nodes, groups, routers, clients; /* groups: data groups. */
    uint32_t replicas;                        /* Of each group. */
    uint32_t vnode_bits;
    uint64_t faults;                       /* Bits of enum sim_fault. */
    uint32_t weights[SIM_FAULT_COUNT];     /* How often each, beside the others. */
    uint32_t loss, duplicates, stragglers; /* Per mille of messages. */
    uint64_t delay_us_min, delay_us_max;
    uint64_t sync_us_min, sync_us_max;
    uint64_t turn_us_max;
    uint64_t fault_us_mean, think_us_mean, chaos_us;
    uint32_t rate_min, rate_max; /* Of clocks, per mille. */
    uint64_t wall_error_ms_max;
    uint32_t busy; /* Per mille of turns in which the state's store begins to refuse. */
    uint32_t sector_size;
    uint64_t segment_size;
    uint32_t batch_size_max;
    uint32_t keys; /* Of each kind. */
    uint32_t value_size_max;
    uint32_t read_share;           /* Per mille, of what is asked of keys that are counted in. */
    uint32_t kinds[SIM_KEY_KINDS]; /* How often keys of each kind, beside the others. */
    uint32_t hot_share;            /* Per mille: of one key of them. */
    uint32_t inflight_max;         /* Operations of one router. */
    uint32_t output_pause;         /* Bytes of replies, after which it begins no more. */
    uint32_t router_message_max;   /* Bytes of a REQUEST that several share. */
    uint32_t request_timeout_ms, silence_ms;
    uint32_t lease_ms;              /* Of leaders; 0: none, reads ask a majority. */
    uint64_t operations_max;        /* Asked for before healing; 0: no bound. */
    struct wire_limits limits;      /* The map's. */
    struct sim_narrowing narrowing; /* What the command line changed of all this. */
    struct shard_node_config node;  /* The part that all nodes share. */
};

void sim_options_draw(struct sim_options *options, uint64_t seed);
void sim_options_print(const struct sim_options *options, FILE *out);
/* "none", "all", or names with commas between them; false: an unknown name. */
bool sim_faults_parse(const char *text, uint64_t *ret_faults);
/* The same text. */
void sim_faults_print(uint64_t faults, FILE *out);

/* ---- Coverage
 * ------------------------------------------------------------------------------------- */

enum sim_need { /* A batch fails that has had so many seeds, and a row is still zero. */
                SIM_FREE = 0,  /* false: it need not happen. */
                SIM_SMOKE = 1, /* true: 200. */
                SIM_BATCH = 2, /* 1,000. */
};

/* Faults and rare paths, counted over seeds. */
#define SIM_COVERAGE_LIST(X)                                                                       \
    SIM_FAULT_LIST(X)                                                                              \
    X(messages, true)                                                                              \
    X(messages_delivered, true)                                                                    \
    X(messages_with_operations, true)                                                              \
    X(messages_lost, true)                                                                         \
    X(messages_refused, true)                                                                      \
    X(deaths, true) /* Of nodes, for whatever reason. */                                           \
    X(crashes_in_a_write, true)                                                                    \
    X(sectors_lost, true)                                                                          \
    X(sectors_torn, true)                                                                          \
    X(chains, true)                                                                                \
    X(rings, true)                                                                                 \
    X(bridges, true)                                                                               \
    X(stars, true)                                                                                 \
    X(leaders_alone, true)                                                                         \
    X(leaders_mute, true)                                                                          \
    X(leaders_deaf, true)                                                                          \
    X(leaders_with_one, true)                                                                      \
    X(successions_judged, true)                                                                    \
    X(crashes_at_a_disk_step, true)                                                                \
    X(crashes_when_synced, true)                                                                   \
    X(crashes_when_told, true)                                                                     \
    X(crashes_when_applied, true)                                                                  \
    X(crashes_when_sending, true)                                                                  \
    X(ended_by_disk_errors, true)                                                                  \
    X(ended_by_full_logs, false)                                                                   \
    X(damaged_logs, true)                                                                          \
    X(damaged_replicas, SIM_BATCH)                                                                 \
    X(damaged_states, SIM_BATCH)                                                                   \
    X(lost_tails_noticed, false)                                                                   \
    X(lost_tails_unknown, false)                                                                   \
    X(state_batches_lost, true)                                                                    \
    X(stalls, true)                                                                                \
    X(old_copies_refused, true)                                                                    \
    X(elections, true)                                                                             \
    X(elections_won, true)                                                                         \
    X(stepped_down, true)                                                                          \
    X(canvasses_refused, true)                                                                     \
    X(adopted_foreign, true) /* Phase 1: of others, never seen before. */                          \
    X(holes_filled, true)                                                                          \
    X(ballot_mismatches, true)                                                                     \
    X(learned_over_another, true)                                                                  \
    X(slots_learned, true)                                                                         \
    X(slots_from_the_log, true)                                                                    \
    X(slots_sent_again, true)                                                                      \
    X(entries_voided, SIM_BATCH)                                                                   \
    X(stale_messages, true)                                                                        \
    X(leases_held, true)                                                                           \
    X(lease_waits, true)                                                                           \
    X(lease_waits_of_restart, true)                                                                \
    X(refused_foreign, true)                                                                       \
    X(refused_repeated, true)                                                                      \
    X(refused_replica, true)                                                                       \
    X(torn_batches, true)                                                                          \
    X(messages_written_again, true)                                                                \
    X(owners_seen, true)                                                                           \
    X(maps_taken, true)                                                                            \
    X(answered_from_records, true)                                                                 \
    X(late_copies_refused, true)                                                                   \
    X(requests_executed, true)                                                                     \
    X(effects_summed, true)                                                                        \
    X(effects_unsure, false)                                                                       \
    X(copies_sent, true)                                                                           \
    X(probes, true)                                                                                \
    X(leaders_lost, true)                                                                          \
    X(leader_changes, true)                                                                        \
    X(learned_values, true)                                                                        \
    X(loads, true)                                                                                 \
    X(load_entries, true)                                                                          \
    X(trims, true)                                                                                 \
    X(segments_recycled, true)                                                                     \
    X(copies_of_requests, true)                                                                    \
    X(answers_from_records, true)                                                                  \
    X(connections_paused, true)                                                                    \
    X(answered, true)                                                                              \
    X(nothing_done, true)                                                                          \
    X(unknown, true)                                                                               \
    X(refused, false)                                                                              \
    X(not_leader, true)                                                                            \
    X(busy_answers, true)                                                                          \
    X(moved_answers, false)                                                                        \
    X(library_replies, true)                                                                       \
    X(transactions, true)                                                                          \
    X(spread_transactions, true)                                                                   \
    X(spread_done, true)                                                                           \
    X(spread_refused, true)                                                                        \
    X(checks_failed, true)                                                                         \
    X(stale_reads, true)                                                                           \
    X(own_answers, true)                                                                           \
    X(expired_reads, true)                                                                         \
    X(reads_checked, true)                                                                         \
    X(states_compared, true)                                                                       \
    X(read_together, true)                                                                         \
    X(written_together, true)                                                                      \
    X(clocks_judged, true)                                                                         \
    X(rows_compared, true)                                                                         \
    X(scans, true)                                                                                 \
    X(histories, true)                                                                             \
    X(histories_undecided, false)

struct sim_coverage {
#define SIM_COVERAGE_FIELD(name, essential) uint64_t name;
    SIM_COVERAGE_LIST(SIM_COVERAGE_FIELD)
#undef SIM_COVERAGE_FIELD
};

/* ---- Events
 * --------------------------------------------------------------------------------------- */

enum sim_event_type {
    SIM_PACKET = 1,
    SIM_TURN,    /* A node takes its turn. */
    SIM_DISK,    /* Its storage thread finished what it had in hand. */
    SIM_FACTS,   /* It asks for the facts of its log. */
    SIM_RESTART, /* It starts, from what the crash left. */
    SIM_RESUME,
    SIM_RESTORE,      /* A node that was wiped gets its own disk back. */
    SIM_ROUTER,       /* A router's timer. */
    SIM_CLIENT,       /* A client wants something. */
    SIM_TO_DOOR,      /* A piece of a client's stream arrives at its router. */
    SIM_TO_CLIENT,    /* ... the other way. */
    SIM_CLIENT_READS, /* It reads again. */
    SIM_DOOR_GOES,    /* A router's socket takes and gives again. */
    SIM_FAULT,
    SIM_FLAP,       /* A link comes or goes. */
    SIM_MEND,       /* One cut link comes back. */
    SIM_STRIKE,     /* The power goes at a node whose disk lied. */
    SIM_FALL,       /* A candidate dies. */
    SIM_USURP,      /* The one that keeps a lease restarts, or has. */
    SIM_SUCCESSION, /* There is another leader, or it is said that there is none. */
    SIM_INIT,       /* The tool sends the first map. */
};

struct sim_head {
    uint32_t from, to; /* Places. */
    uint64_t route;    /* Back to the life that sent it. */
    uint64_t to_route; /* Only this life gets it; 0: any. */
    bool on_dealer;    /* It comes along the way on which the receiver asked. */
    bool damaged;
};

struct sim_packet {
    struct sim_head head;
    uint32_t copies; /* Events that still refer to it. */
    uint64_t taken;  /* By this life; 0: by none. */
    size_t size;
    uint8_t bytes[];
};

struct sim_event {
    uint64_t at_us;
    uint64_t number; /* Of its making: breaks ties. */
    enum sim_event_type type;
    uint32_t place; /* A node, router or client. */
    uint32_t life;  /* For this life only; 0: for any. */
    struct sim_packet *packet;
};

struct sim_link {              /* One way. */
    uint32_t loss;             /* Per mille. */
    uint64_t slow_us, last_us; /* More than others; when the last message arrives. */
};

struct sim_trace {
    uint64_t at_us;
    const char *what; /* Static. */
    uint32_t place;
    uint64_t a, b, c;
};

/* ---- Nodes
 * ---------------------------------------------------------------------------------------- */

struct sim_job { /* What the storage thread has in hand, or is to take next. */
    struct shard_log_batch **writes;
    struct shard_trim *trims;
    struct shard_load *loads;
    size_t write_count, trim_count, load_count;
    size_t writes_capacity, trims_capacity, loads_capacity;
    bool facts;
};

struct sim_copy { /* Of a node's disk and state. Empty: device NULL. */
    struct store_sim_device *device;
    struct store_kv *kv;
    uint64_t batch;
};

/* Where a process dies: the persistence points of a node. */
enum sim_point {
    SIM_POINT_NONE,
    SIM_POINT_DISK,    /* At an operation of the log's disk. */
    SIM_POINT_SYNCED,  /* The log is synced, the node does not know. */
    SIM_POINT_TOLD,    /* It knows, and has not had its turn. */
    SIM_POINT_APPLIED, /* It wrote the state and gave its log a batch; nothing was sent. */
    SIM_POINT_SENDING, /* It sent some of its messages. */
};

struct sim_trap {
    enum sim_point point;
    uint64_t left; /* So many more times the point is passed. */
    bool power;
};

enum sim_identity {
    SIM_GENUINE,
    SIM_WIPED, /* Formatted anew under another storage id. */
    SIM_OLD,   /* An older copy of its own disk. */
    SIM_SHORT, /* Its disk lost the newest of what it had called durable. */
};

struct sim_host {
    uint32_t index, id;
    uint32_t life;
    struct shard_node *node; /* NULL: down. */
    struct base_pool pool;
    struct store_sim_device *device;
    struct store_device interface;
    struct store_kv *kv;
    struct store_kv *cache, *gather; /* In front of kv, in this order; NULL: down. */
    struct store_superblock superblock;
    struct store_log *log; /* NULL: down. */
    struct shard_recovery *recovery;
    struct sim_job waiting, busy;
    bool working;                 /* The storage thread has `busy` in hand. */
    struct store_record *records; /* Of one append. */
    size_t records_capacity;
    uint8_t *buffer;  /* Of one read. */
    uint64_t turn_us; /* When the next turn is; UINT64_MAX: none. */
    bool paused;
    struct sim_event *held; /* What came while it stood still: the operating system keeps it. */
    size_t held_count, held_capacity;
    uint64_t turns;
    enum sim_identity identity;
    const char *fatal;            /* Why it ended by itself. */
    struct sim_copy old, genuine; /* A copy taken earlier; its own disk while another is in. */
    uint64_t segments;
    uint64_t end_batch;            /* When it went down: its log holds no later one. */
    uint32_t clock_rate, own_rate; /* Now; when nothing is wrong with it. */
    uint32_t recovery_crashes;
    int64_t wall_error_ms;
    uint64_t seen_batch[SIM_NODES_MAX]; /* Of its peers, heard in this life. */
    uint64_t applied[SIM_GROUPS_MAX];   /* Last looked at. */
    bool refusing;                      /* Its store refuses writes in this turn. */
    uint64_t full_until_us;             /* ... and has no room. */
    uint64_t refused;                   /* Buffers, by its pool, that are counted. */
    uint64_t map_version;               /* In this life. */
    struct sim_trap trap;
    uint64_t clock_ms, clock_at_us; /* Its monotonic clock when its rate last changed. */
    uint64_t drift_until_us, slow_until_us, slow_disk_until_us, log_full_until_us, little_until_us;
    uint32_t slow_us;        /* Of each turn until slow_until_us. */
    uint32_t slow_factor;    /* Of its disk. */
    enum sim_fault injected; /* Into its disk. */
    uint64_t faults_met;     /* By its disk, and counted. */
    bool lying;              /* Its disk says synced and is not. */
    bool lied;               /* ... or was not, and some of that may yet be lost. */
    bool disk_failed;        /* An error was just met there. */
    uint32_t incarnation;    /* The highest that it had. */
    /* A disk that loses what it called durable: at most a minority of each group's voters. */
    bool doomed;
    bool struck;            /* ... and did: its log is not what it wrote. */
    bool forgetful;         /* ... without a trace: the end of its log may be missing. */
    uint64_t late_until_us; /* What it tells another then arrives late. */
    bool deposed;           /* When it tells another to take over, it is cut off. */
    bool late;              /* It first starts when the others serve. */
    bool lost;              /* It never comes back. */
    uint64_t durable_batch; /* The last that its disk called synced, in any life. */
    uint32_t amnesiac;      /* Bits of groups whose replica here found its log damaged. */
    uint64_t damaged_slot[SIM_GROUPS_MAX]; /* The highest that was found damaged. */
    uint32_t unborn; /* ... that it fell too early for: its id is used, and nothing stands there. */
    uint32_t rotten; /* ... and whose state is. */
    uint32_t vnode_next; /* To be looked at by check_owner.c. */
};

/* ---- Routers and clients
 * -------------------------------------------------------------------------- */

enum { SIM_REQUESTS_MAX = 1 << 20 };

struct sim_request { /* By a router's running number. */
    bool writes;
    uint32_t group;    /* 0: of none. */
    uint64_t asked_us; /* When its first copy left. */
    uint32_t copies, dones;
    uint64_t answer; /* Hash of its first answer. */
};

struct sim_credit { /* What a life of a node takes of a router's requests for a group. */
    uint32_t incarnation;
    uint64_t most;
};

struct sim_stream; /* tests/sim/clients.h */

struct sim_router {
    uint32_t index, life;
    bool is_whole;                  /* A router with RESP clients; else a library's courier. */
    struct router *whole;           /* NULL: it is not. */
    struct router_courier *bare;    /* NULL: it is. */
    struct libtorc_client *library; /* What has the courier, of the C library; NULL: nothing. */
    uint32_t commands_max;          /* ... in flight of each of its connections. */
    bool turn_wanted;               /* Something came since its last turn. */
    uint8_t *kept;                  /* A REQUEST that was sent once. */
    size_t kept_size, kept_capacity;
    uint32_t kept_life, kept_to;
    uint64_t kept_us;
    struct sim_stream *streams[SIM_CLIENTS_MAX]; /* By the router's number of a connection. */
    uint64_t number;                             /* Of the last message. */
    struct wire_window windows[SIM_NODES_MAX];
    uint64_t wake_us;
    struct sim_request *requests; /* Of this life. */
    size_t request_count, requests_capacity;
    struct sim_credit credits[SIM_NODES_MAX][SIM_GROUPS_MAX];
    uint64_t map_version, epochs[1 << SIM_VNODE_BITS_MAX];
};

struct sim_expiry { /* check_expiry.c: a key that is only put, with a time to live, and read. */
    struct sim_put *puts; /* In the order in which they were asked for. */
    size_t count, capacity;
    size_t kept;                /* When those that were replaced were last forgotten. */
    uint64_t newest, newest_us; /* When the newest that was done was asked for; 0: none. */
    uint64_t gone;              /* When the newest read that found nothing was asked for. */
};

struct sim_expiry_asked { /* What was known of such a key when it was asked for. */
    uint64_t tick, newest, newest_us, gone, clock_ms;
};

struct sim_own_state { /* What stood there, at the latest from then, at the earliest until then. */
    uint64_t from_us, until_us;
    uint64_t value; /* Hash. */
    bool present, ends;
};

struct sim_own { /* check_own.c: a key that one client at a time uses. */
    struct sim_own_state past[SIM_OWN_PAST];
    uint32_t past_count;
    uint64_t first_us; /* When the first of them was known. */
    bool busy, present;
    uint32_t generation;
    uint64_t version, end_ms;
    size_t size;
    uint8_t value[SIM_OWN_SIZE_MAX];
};

struct sim_key { /* What clients know of a key. */
    struct sim_expiry expiry;
    struct sim_own own;
    char name[SIM_KEY_SIZE_MAX + 1];
    enum sim_key_kind kind;
    int64_t added_acked, added_unknown; /* Counters. */
    struct sim_word *words;             /* Lists. */
    size_t word_count, words_capacity;
    bool scanned;
    struct wire_result_kept { /* The last read, after healing. */
        bool written, read, present;
        uint8_t *bytes;
        size_t size;
    } last;
};

struct sim_word {
    uint64_t number;
    uint32_t client;
    enum history_outcome outcome;
};

enum { SIM_TASKS_MAX = 8 }; /* Of a client, at once. */

struct sim_task { /* One operation on one key that a client has asked for. */
    uint32_t client, index;
    bool busy;
    uint32_t key;
    struct wire_op op;
    uint8_t value[SIM_VALUE_SIZE_MAX];
    size_t history; /* Place in the key's history. */
    size_t word;    /* Of the key's words: its own; of a read: how many there were. */
    uint64_t asked_us;
    bool last; /* One of the operations after healing. */
    struct sim_expiry_asked expiry;
    uint64_t timeout_us; /* Its own; 0: that of all. */
    uint32_t stale_ms;   /* It may be so old; 0: not at all. */
    uint32_t together;   /* transaction.c: of the first, so many are one request. */
    bool spread;         /* ... and their keys are of several groups. */
    bool refused;        /* ... and they only read: nobody carries that out. */
    bool owns;           /* Its key, for as long as it is busy. */
};

struct sim_client {
    uint32_t index, router;
    uint32_t in_flight; /* Tasks that are busy. */
    uint32_t burst;     /* Tasks that it asked for in one go. */
    bool asking;
    bool resting; /* It will act after a while. */
    struct sim_task tasks[SIM_TASKS_MAX];
    struct sim_stream *stream; /* To a whole router. */
};

/* ---- The world
 * ------------------------------------------------------------------------------------ */

struct ledger; /* tests/sim/ledger.h */

struct sim_slot { /* The state of a group after a slot, as the first replica had it. */
    uint64_t hash;
    bool known;
};

struct sim_owner { /* Of a vnode, at the highest epoch that was seen. */
    uint64_t epoch;
    uint32_t group;
};

struct sim {
    struct sim_options options;
    struct base_prng prng;
    const struct base_allocator *allocator;
    uint64_t now_us, event_number;
    struct sim_event *heap;
    size_t heap_count, heap_capacity;
    struct shard_map map;
    struct wire_id cluster;
    struct sim_host hosts[SIM_NODES_MAX];
    struct sim_router routers[SIM_ROUTERS_MAX];
    struct sim_client clients[SIM_CLIENTS_MAX];
    char addresses[SIM_NODES_MAX][SHARD_ADDRESS_SIZE];
    const char *seeds[SIM_NODES_MAX];
    bool cut[SIM_PLACES_MAX][SIM_PLACES_MAX];
    struct sim_link links[SIM_PLACES_MAX][SIM_PLACES_MAX];
    uint64_t happened;       /* Bits of enum sim_fault, in this run. */
    uint64_t rush_until_us;  /* Clients ask without a pause. */
    uint64_t held_us;        /* So much later the next message arrives. */
    uint64_t quiet_until_us; /* No faults until then: a fault is being looked at. */
    struct {                 /* ... or none at two nodes, and between them. */
        uint32_t host, witness;
        uint64_t until_us;
    } guard;
    struct { /* What is to follow a candidate's death. */
        uint32_t count, group, host;
        uint64_t lives; /* Of those who are to agree; 0: none is judged. */
        uint64_t until_us;
    } succession;
    struct { /* Who leads with one follower left, and who that is. */
        uint32_t leader, leader_life, keeper, keeper_life;
        bool restarted;
    } usurped;
    bool born, healed, reading, leader_changed;
    uint64_t tool_number, word_number, value_number, tick;
    struct sim_key *keys;
    uint32_t key_count, keys_read;
    struct { /* Over all keys, at rest. */
        bool waits, counting, over;
        uint64_t cursor;
    } scan;
    struct history_set histories;
    struct sim_slot *slots[SIM_GROUPS_MAX];
    size_t slots_capacity[SIM_GROUPS_MAX];
    struct ledger *ledger;
    struct sim_owner owners[1 << SIM_VNODE_BITS_MAX];
    uint32_t leaders[SIM_GROUPS_MAX]; /* Host ids; 0: none yet. */
    uint64_t clocks[SIM_GROUPS_MAX];  /* The highest that was in a state. */
    struct wire_arena *arena;
    uint8_t *message; /* Being sent by a router or the tool. */
    size_t message_capacity;
    uint64_t hash, operations_asked;
    bool trace;
    const char *commit; /* Of the program, for the report of a failure. */
    struct sim_trace last[SIM_TRACE_MAX];
    uint64_t trace_count;
    struct sim_coverage *coverage;
};

/* Prints the seed, the property that broke, the last events and how to replay, and ends the
 * process with status 1. `checker` names who noticed. */
__attribute__((format(printf, 3, 4))) _Noreturn void
sim_fail(const struct sim *sim, const char *checker, const char *format, ...);

/* world.c */
void sim_init(struct sim *sim, const struct sim_options *options, struct sim_coverage *coverage);
/* All phases; returns the hash. */
uint64_t sim_run(struct sim *sim);
void sim_fini(struct sim *sim);
void sim_push(struct sim *sim, struct sim_event event);
uint64_t sim_draw(struct sim *sim, uint64_t min, uint64_t max);
bool sim_chance(struct sim *sim, uint32_t per_mille);
bool sim_has(const struct sim *sim, enum sim_fault fault);
/* Enters a number into the run's hash. */
void sim_note(struct sim *sim, uint64_t number);
/* A fault happened. */
void sim_happened(struct sim *sim, enum sim_fault fault);
/* How many kinds of it have happened in this run. */
uint32_t sim_kinds(const struct sim *sim);

/* trace.c */
void sim_trace(struct sim *sim, const char *what, uint32_t place, uint64_t a, uint64_t b,
               uint64_t c);
/* "n1" is node 1, "r1" the first router, "c1" a client, "tool" what sends the first map. */
const char *sim_place_name(uint64_t place, char text[8]);
const char *sim_op_name(uint64_t type);
/* Which links are cut, for a label that begins with '#'. */
uint64_t sim_cuts(const struct sim *sim);
/* The last events that have to do with a failure: with what its sentence names. */
void sim_trace_print(const struct sim *sim, const char *text, FILE *out);

/* trace_message.c: what a message says, with --trace. */
void sim_trace_message(struct sim *sim, const struct sim_head *head, struct base_bytes bytes);

/* network.c */
uint64_t sim_route(uint32_t place, uint32_t life);
void network_send(struct sim *sim, struct sim_head head, struct base_bytes bytes);
void network_deliver(struct sim *sim, struct sim_packet *packet);
void network_unref(struct sim *sim, struct sim_packet *packet);
void network_heal(struct sim *sim);

/* host.c */
void host_init(struct sim *sim, uint32_t index);
void host_fini(struct sim *sim, struct sim_host *host);
uint64_t host_now_ms(const struct sim *sim, const struct sim_host *host);
uint64_t host_wall_ms(const struct sim *sim, const struct sim_host *host);
void host_start(struct sim *sim, struct sim_host *host);
void host_crash(struct sim *sim, struct sim_host *host, bool power);
/* All that is wrong with it is over; what it lost stays lost. */
void host_heal(struct sim *sim, struct sim_host *host);
void host_clock_set(struct sim *sim, struct sim_host *host, uint32_t rate);
/* It stands still: what comes is held until it goes on. */
void host_hold(struct sim *sim, struct sim_host *host, const struct sim_event *event);
void host_resume(struct sim *sim, struct sim_host *host);
void host_turn(struct sim *sim, struct sim_host *host);
void host_turn_at(struct sim *sim, struct sim_host *host, uint64_t at_us);
void host_turn_soon(struct sim *sim, struct sim_host *host);
/* True: it was taken. */
bool host_receive(struct sim *sim, struct sim_host *host, const struct sim_head *head,
                  const struct wire_envelope *envelope);
/* The node that leads a group and serves; NULL: none. */
struct sim_host *host_leader(struct sim *sim, uint32_t group);

/* disk.c */
void disk_format(struct sim *sim, struct sim_host *host);
/* Opens the log and the recovery as the driver does. False: it does not start now, or never. */
bool disk_open(struct sim *sim, struct sim_host *host, uint64_t *ret_batch);
void disk_submit(struct sim *sim, struct sim_host *host, const struct shard_node_ready *ready);
void disk_ask_facts(struct sim *sim, struct sim_host *host);
void disk_done(struct sim *sim, struct sim_host *host);
/* The process is gone; what was in hand is done in part. */
void disk_crash(struct sim *sim, struct sim_host *host, bool power);
void disk_copy(struct sim *sim, const struct sim_host *host, struct sim_copy *ret_copy);
void disk_copy_free(struct sim_copy *copy);
/* The power goes while nothing runs on it. */
void disk_lose_power(struct sim *sim, struct sim_host *host);

/* router.c */
void sim_router_start(struct sim *sim, uint32_t index);
void sim_router_kill(struct sim *sim, struct sim_router *router);
void sim_router_free(struct sim *sim, struct sim_router *router);
/* True: it was taken. */
bool sim_router_receive(struct sim *sim, struct sim_router *router, const struct sim_head *head,
                        const struct wire_envelope *envelope);
/* Its time has come. */
void sim_router_turn(struct sim *sim, struct sim_router *router);
const struct router_courier *sim_router_courier(const struct sim_router *router);

/* client.c */
void client_init(struct sim *sim);
void client_fini(struct sim *sim);
void client_act(struct sim *sim, struct sim_client *client);
bool client_all_read(const struct sim *sim);

/* map.c */
void map_make(struct sim *sim);
void map_send(struct sim *sim);

/* faults.c */
void faults_happen(struct sim *sim);
void faults_restore(struct sim *sim, struct sim_host *host);
void faults_heal(struct sim *sim);
/* Who leads the group gives it away. */
void faults_hand_over(struct sim *sim, uint32_t group);
/* Whether the node may lose what it called durable, for good: at most a minority of the voters of
 * any group ever do. True: it is marked as one of them. */
bool faults_may_doom(struct sim *sim, struct sim_host *host);
/* Its log came back without the newest of what it had called durable. */
void faults_tail_lost(struct sim *sim, struct sim_host *host, uint64_t batch);
void faults_at_birth(struct sim *sim, struct sim_host *host);
/* Whether it is not there when the cluster is born; it starts later. */
bool faults_comes_late(struct sim *sim, struct sim_host *host);
void faults_start_late(struct sim *sim, struct sim_host *host);
/* It passes a step: true: it died there. */
bool faults_trip(struct sim *sim, struct sim_host *host, enum sim_point point);
/* What was put in a disk's way came to pass. */
void faults_note_disk(struct sim *sim, struct sim_host *host);
void fault_flap(struct sim *sim, uint32_t place, uint32_t left);
void fault_mend(struct sim *sim);
void fault_strike(struct sim *sim, struct sim_host *host);
/* fault_leaders.c: a node sends a message of consensus. */
void faults_message(struct sim *sim, uint32_t node, uint32_t group, uint8_t type);
void faults_fall(struct sim *sim);
void faults_usurp(struct sim *sim);
void faults_succeeded(struct sim *sim);

/* witness.c: a node hands a batch to its log; it is synced, as the log's batch `number`; entries
 * up to a slot may go. */
void witness_given(struct sim *sim, const struct sim_host *host,
                   const struct shard_log_batch *batch);
void witness_stored(struct sim *sim, const struct sim_host *host,
                    const struct shard_log_batch *batch, uint64_t number);
void witness_trimmed(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot);
/* A recovery begins, finds a record, has come to its end. */
void witness_opening(struct sim *sim);
void witness_found(struct sim *sim, const struct sim_host *host, const struct store_record *record);
void witness_recovered(struct sim *sim, const struct sim_host *host, uint64_t batch);
void witness_sent(struct sim *sim, const struct sim_host *host,
                  const struct wire_envelope *envelope);

/* counters.c: a life of a node or a router ends. */
void counters_host(struct sim *sim, const struct sim_host *host);
void counters_router(struct sim *sim, const struct sim_router *router);

/* Checkers. */
void check_state(struct sim *sim, struct sim_host *host);
void check_request_sent(struct sim *sim, struct sim_router *router,
                        const struct router_message *message);
/* Whether all were executed and said to be: writes, that is. */
bool check_requests_answered(struct sim *sim, struct sim_router *router,
                             struct base_bytes requests);
void check_reply_sent(struct sim *sim, const struct sim_host *host, const struct sim_head *head,
                      const struct wire_envelope *envelope);
/* check_reads.c: the group of a request; a write was answered that was executed in a slot; a read
 * that was first asked then is answered by a node. */
uint32_t check_reads_group(const struct sim *sim, const struct wire_request *request);
void check_reads_written(struct sim *sim, uint32_t group, uint64_t slot);
void check_read(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t asked_us);
/* check_effects.c: the slot in which a request was executed; 0: none is known. */
uint64_t check_effects_slot(struct sim *sim, struct wire_client_id client, uint64_t number);
void check_credit_heard(struct sim *sim, struct sim_router *router,
                        const struct wire_envelope *envelope);
void check_credit_used(struct sim *sim, struct sim_router *router,
                       const struct wire_envelope *envelope);
void check_delivery(struct sim *sim, struct sim_packet *packet,
                    const struct wire_envelope *envelope, uint32_t life, uint32_t incarnation);
/* check_rows.c: of all groups, at rest. */
void check_rows(struct sim *sim);
/* check_clock.c: the state of a group shows this clock. */
void check_clock(struct sim *sim, uint32_t group, uint64_t clock);
/* check_keys.c: a client reads a list. */
void check_list_read(struct sim *sim, const struct sim_task *task,
                     const struct wire_result *result);
/* What is known of the key when it is asked for; then what came of it. */
void check_expiry_asked(struct sim *sim, struct sim_key *key, struct sim_task *task);
void check_expiry_free(struct sim *sim, struct sim_key *key);
void check_expiry(struct sim *sim, const struct sim_task *task,
                  const struct router_outcome *outcome);
void check_keys(struct sim *sim);
void check_histories(struct sim *sim);
void check_owner(struct sim *sim, struct sim_host *host, uint32_t group);
void check_owners(struct sim *sim);
void check_vote(struct sim *sim, const struct sim_host *host, const struct wire_envelope *envelope);
void check_refused(struct sim *sim, const struct sim_host *host);
/* Any message, as it is sent. */
void check_codec(struct sim *sim, struct base_bytes bytes);
void check_lease(struct sim *sim, const struct sim_host *host, uint32_t group,
                 const struct consensus_info *info);
void check_node_map(struct sim *sim, struct sim_host *host);
void check_router_map(struct sim *sim, struct sim_router *router);
void check_outcome_in_time(struct sim *sim, const struct sim_task *task);
void check_outcome_not_early(struct sim *sim, const struct sim_task *task,
                             const struct router_outcome *outcome);
/* Whether all replicas are at one slot with one state, and everything was read. */
bool check_at_rest(struct sim *sim);
void check_live_report(struct sim *sim);

#endif /* TORC_TESTS_SIM_SIM_H */

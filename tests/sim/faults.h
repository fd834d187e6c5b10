/*
 * tests/sim/faults -- what goes wrong. faults.c draws which and when; each kind is one function of
 * the file of its subject, and counts itself when it really happened.
 */
#ifndef TORC_TESTS_SIM_FAULTS_H
#define TORC_TESTS_SIM_FAULTS_H

#include "shard/keys.h"
#include "tests/sim/sim.h"

/* faults.c */
struct sim_host *fault_any_host(struct sim *sim);
/* Often one that leads. */
struct sim_host *fault_some_host(struct sim *sim);
void fault_start_in(struct sim *sim, const struct sim_host *host, uint64_t us);
/* From a moment to several seconds. */
uint64_t fault_while_us(struct sim *sim);

/* fault_links.c */
void fault_partitions(struct sim *sim);
void fault_shapes(struct sim *sim);
void fault_singled(struct sim *sim);
void fault_mending(struct sim *sim);
void fault_flapping(struct sim *sim);
void fault_lossy_links(struct sim *sim);
void fault_slow_links(struct sim *sim);
void fault_cut_around(struct sim *sim, uint32_t one, bool in, bool out);

/* fault_crashes.c */
bool fault_is_crashable(const struct sim *sim, const struct sim_host *host);
/* False: it is not. */
bool fault_crash(struct sim *sim, struct sim_host *host, bool power);
void fault_crashes(struct sim *sim);
void fault_power(struct sim *sim);
void fault_traps(struct sim *sim);
void fault_outages(struct sim *sim);
void fault_ambush(struct sim *sim);

/* fault_leaders.c */
void fault_deposed(struct sim *sim);
void fault_late_transfers(struct sim *sim);
void fault_usurpers(struct sim *sim);

/* fault_disks.c */
void fault_rot(struct sim *sim);
void fault_state_rot(struct sim *sim);
void fault_misdirected(struct sim *sim);
void fault_lost_writes(struct sim *sim);
void fault_lying(struct sim *sim);
void fault_write_errors(struct sim *sim);
void fault_sync_errors(struct sim *sim);
void fault_log_full(struct sim *sim);
void fault_slow_disks(struct sim *sim);
void fault_full(struct sim *sim);

/* fault_nodes.c */
/* A peer that is up and knows more of this node's log than up to `batch`, if the node would ask it:
 * only then can its disk be told from what it was. NULL: none. */
struct sim_host *fault_witness(struct sim *sim, const struct sim_host *host, struct store_kv *kv,
                               uint64_t batch);
/* Nothing is to befall it now. */
bool fault_is_guarded(const struct sim *sim, const struct sim_host *host);
/* All is well with network and nodes until then, but for what the caller does. */
void fault_quiet(struct sim *sim, uint64_t until_us);
/* For a while nothing else happens, so that a node whose disk is not what it was must be noticed;
 * then faults_restore. */
void fault_stand_by(struct sim *sim, struct sim_host *host);
void fault_pauses(struct sim *sim);
void fault_long_pauses(struct sim *sim);
void fault_slow_nodes(struct sim *sim);
void fault_memory(struct sim *sim);
void fault_jumps(struct sim *sim);
void fault_drift(struct sim *sim);
void fault_slow_leader(struct sim *sim, struct sim_host *leader);
void fault_wipes(struct sim *sim);
void fault_old_copies(struct sim *sim);
void fault_drains(struct sim *sim);
void fault_drain(struct sim *sim, struct sim_host *host);
void fault_routers(struct sim *sim);

/* fault_clients.c */
void fault_quitters(struct sim *sim);
void fault_slow_readers(struct sim *sim);
void fault_overload(struct sim *sim);
void fault_garbage(struct sim *sim);
void fault_late_copies(struct sim *sim);

#endif /* TORC_TESTS_SIM_FAULTS_H */

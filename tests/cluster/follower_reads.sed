# A planted bug of shard/service.c (base/mutant.h), for good: a replica which does not lead answers
# reads from the state that it has; it calls itself the leader when it hears of none, and tells the
# time, so that a router asks it. Tests only: a history must show it (follower_reads_test.c).
s/TORC_MUTANT(FOLLOWER_READS)/true/
s/^    return shard_group_node_of(service->group, info.leader);$/    return shard_group_node_of(service->group,\
                               info.leader != 0 ? info.leader : shard_group_replica(service->group));/
s/return service->leading ? next_stamp(service, clocks, now_ms) : 0;/return next_stamp(service, clocks, now_ms);/

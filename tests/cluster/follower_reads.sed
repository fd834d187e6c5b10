# shard/service.c, changed so that a replica which does not lead answers reads from the state that it
# has, and calls itself the leader when it hears of none, so that a router asks it. Tests only: a
# history must show it (follower_reads_test.c).
s/^        if (leads)$/        if (leads || !wire_request_writes(\&request))/
/^static void begin_reads(/i\
static void evaluate_reads(struct shard_service *service, uint32_t slot, struct shard_turn *turn);
/^static void begin_reads(/,/^{/s/^{/{\
    if (!service->leading) {\
        evaluate_reads(service, slot, turn);\
        return;\
    }/
s/^    return shard_group_node_of(service->group, info.leader);$/    return shard_group_node_of(service->group,\
                               info.leader != 0 ? info.leader : shard_group_replica(service->group));/

"""Bugs planted above consensus, each in a build of its own: the simulator must notice them.

name: (the file, a sed script that changes it, the checkers that may notice it)
"""

load("@rules_cc//cc:defs.bzl", "cc_binary")

MUTANTS = {
    # The record of any request of the same router answers for this one.
    "record_by_session": (
        "//shard:records.c",
        "s/base_bytes_of(id, ID_SIZE)/base_bytes_of(id, 16)/;s/memcmp(at, id, ID_SIZE)/memcmp(at, id, 16)/",
        "liveness linearizability counters words effects",
    ),
    # A second copy of a request that was proposed runs again.
    "record_not_asked_at_apply": (
        "//shard:machine_apply.c",
        "s/if (plan.writes && shard_records_find/if (false \\&\\& shard_records_find/",
        "answers linearizability counters words effects",
    ),
    # A copy that comes when its record is gone runs once more.
    "last_time_not_checked": (
        "//shard:machine_apply.c",
        "s/if (plan.writes && request->last_time < entry_clock)/if (false \\&\\& request->last_time < entry_clock)/",
        "answers linearizability counters words effects",
    ),
    # A batch that the store refused for a moment counts as written.
    "refused_batch_forgotten": (
        "//shard:group.c",
        "s/^    enum torc_status status = store_kv_write(group->kv, group->batch);$$/&\\\n    if (status == TORC_BUSY)\\\n        status = TORC_OK;/",
        "agreement linearizability counters words effects chosen reads",
    ),
    # An answer goes to the other router, whose requests have the same numbers.
    "outcome_to_wrong_route": (
        "//shard:service.c",
        "/^static void on_applied/,/^}/s/turn->allocator, route,/turn->allocator, route ^ UINT64_C(1) << 32,/",
        "answers routes linearizability counters words effects reads",
    ),
    # What has expired is seen until it is removed.
    "expired_key_seen": (
        "//shard:rows.c",
        "s/if (shard_expired(data.expiry_ms, run->clock))/if (false)/;s/if (shard_expired(data.expiry_ms, run->stamp))/if (false)/",
        "expiry",
    ),
    # A node votes before its peers have said what they know of its log.
    "no_greeting": (
        "//shard:node.c",
        "s/^    node->greeting = true;$$/    node->greeting = false;/",
        "amnesiac promises",
    ),
    # The log lets go of what the state holds, flushed or not.
    "trim_before_flush": (
        "//shard:node.c",
        "s/uint64_t slot = flushed < info.floor ? flushed : info.floor;/uint64_t slot = info.floor;/",
        "agreement trimming liveness recovery chosen durable",
    ),
    # Of several records of a slot the first one counts at recovery.
    "oldest_record_counts": (
        "//shard:recovery.c",
        "/^static void add_entry/,/^}/s/^        group->entries.at. = entry;$$/        base_buffer_unref(entry.value);/;/^static void add_entry/,/^}/s/^        base_buffer_unref(group->entries.at..value);$$//",
        "agreement linearizability counters words recovery chosen",
    ),
    # A follower answers reads from the state that it has.
    "follower_reads": (
        "//shard:service.c",
        "s/^        if (leads)$$/        if (leads || !wire_request_writes(\\&request))/;/^static void begin_reads(/i static void evaluate_reads(struct shard_service *service, uint32_t slot, struct shard_turn *turn);\n/^static void begin_reads(/,/^{/s/^{/{\\\n    if (!service->leading) { evaluate_reads(service, slot, turn); return; }/",
        "linearizability reads",
    ),
    # "Nothing was done" although a copy may run.
    "nothing_done_said_early": (
        "//router:request.c",
        "s/request->writes && (request->in_doubt || request->state == ROUTER_REQUEST_SENT);/false;/",
        "linearizability counters words effects",
    ),
    # A router sends more than the leader said that it takes.
    "credit_ignored": (
        "//router:group.c",
        "s/leader->sequence < leader->credit/leader->sequence < leader->credit + 1000/",
        "credit",
    ),
}

def sim_mutants_test(name, deps):
    """Each mutant is a simulator of its own; mutants_test.sh wants every one of them caught."""
    args, data = [], []
    for mutant, (core, edit, checkers) in MUTANTS.items():
        binary = "%s_%s" % (name, mutant)
        native.genrule(
            name = binary + "_core",
            testonly = True,
            srcs = [core],
            outs = [binary + "_core.c"],
            cmd = "sed '%s' $< >$@ && ! cmp -s $< $@" % edit,
        )
        cc_binary(
            name = binary,
            testonly = True,
            # Linked before the sound file, which is in an archive of `deps`.
            srcs = ["main.c", binary + "_core.c"],
            deps = deps,
        )
        args.append("'%s:%s'" % (mutant, checkers))
        args.append("$(location :%s)" % binary)
        data.append(binary)
    native.sh_test(
        name = name,
        size = "medium",
        srcs = ["mutants_test.sh"],
        args = args,
        data = data,
        tags = ["harness"],
    )

"""Tests with real processes."""

load("//tests:defs.bzl", "torc_program_test")

CLUSTER_BINARIES = [
    "//admin:torc-admin",
    "//router/driver:torc-router",
    "//shard/driver:torc-shard",
]

def torc_cluster_test(name, srcs = None, deps = [], data = [], size = "medium", tags = [], args = []):
    """A program that starts clusters through //tests/cluster/lib; one at a time."""
    torc_program_test(
        name = name,
        srcs = srcs,
        args = args,
        data = CLUSTER_BINARIES + data,
        size = size,
        tags = ["process", "exclusive"] + tags,
        deps = deps + [
            "//tests/cluster/lib:client",
            "//tests/cluster/lib:cluster",
        ],
    )

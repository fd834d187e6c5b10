"""The kinds of test that the tree has; tests/README.md says what each is for."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")

def torc_unit_test(name, srcs = None, deps = [], size = "small", tags = [], data = [], args = []):
    """A Criterion suite: tests/unit/MODULE/X_test.c tests MODULE/X.c."""
    cc_test(
        name = name,
        srcs = srcs or [name + ".c"],
        args = ["-j1", "--short-filename"] + args,
        data = data,
        size = size,
        tags = ["unit"] + tags,
        deps = deps + ["//base", "//base:criterion", "//tests/lib:test_body"],
    )

def torc_program_test(name, srcs = None, deps = [], size = "medium", tags = [], data = [], args = []):
    """A test with a main() of its own: exit 0 passes. For threads, simulation and harnesses."""
    cc_test(
        name = name,
        srcs = srcs or [name + ".c"],
        args = args,
        data = data,
        size = size,
        tags = tags,
        deps = deps + ["//base"],
    )

def torc_fuzz_test(name, srcs = None, corpus = [], deps = []):
    """LLVMFuzzerTestOneInput in X_fuzz.c. The ordinary build replays the corpus and seeded mutations
    of it; `bazel build --config=fuzz :NAME_fuzzer` makes the coverage-guided fuzzer."""
    cc_test(
        name = name,
        srcs = srcs or [name + ".c"],
        args = ["$(locations %s)" % f for f in corpus],
        data = corpus,
        size = "small",
        tags = ["fuzz_replay"],
        deps = deps + ["//base", "//tests/fuzz:replay_main"],
    )
    cc_binary(
        name = name + "er",
        srcs = srcs or [name + ".c"],
        tags = ["manual"],
        testonly = True,
        deps = deps + ["//base"],
    )

def torc_purity_test(name, core, allowed = "//tests/purity:allowed.txt"):
    """The archive of a pure core refers only to the symbols listed in `allowed` and has no variables."""
    native.filegroup(
        name = name + "_archive",
        testonly = True,
        srcs = [core],
        output_group = "archive",
    )
    native.sh_test(
        name = name,
        srcs = ["//tests/purity:check.sh"],
        args = ["$(location %s)" % allowed, "$(locations :%s_archive)" % name],
        data = [":%s_archive" % name, allowed],
        size = "small",
        tags = ["purity"],
    )

def torc_planted_bugs_test(name, fuzz, core, bugs, corpus, deps):
    """The replay of X_fuzz.c (`fuzz`: a torc_fuzz_test) finds each bug that is planted in the file
    `core`. `bugs` are sed scripts by name; one that changes nothing fails the build. The changed
    file is linked before the sound one, which is in the archives of `deps`."""
    binaries = []
    for bug, edit in bugs.items():
        binary = "%s_%s" % (name, bug)
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
            srcs = [fuzz + ".c", binary + "_core.c"],
            deps = deps + ["//base", "//tests/fuzz:replay_main"],
        )
        binaries.append(binary)
    native.sh_test(
        name = name,
        size = "small",
        srcs = ["//tests/fuzz:canary_test.sh"],
        args = ["'$(locations %s)'" % corpus, "$(location :%s)" % fuzz] +
               ["$(location :%s)" % binary for binary in binaries],
        data = [corpus, fuzz] + binaries,
        tags = ["fuzz_replay"],
    )

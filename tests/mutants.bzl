"""The test build in which bugs can be switched on (base/mutant.h): the same targets, compiled again
with TORC_MUTANTS defined."""

def _with_mutants(settings, _attr):
    return {"//command_line_option:copt": settings["//command_line_option:copt"] + ["-DTORC_MUTANTS"]}

_transition = transition(
    implementation = _with_mutants,
    inputs = ["//command_line_option:copt"],
    outputs = ["//command_line_option:copt"],
)

def _binary(ctx):
    built = ctx.attr.binary[0][DefaultInfo].files_to_run.executable
    link = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = link, target_file = built, is_executable = True)
    return [DefaultInfo(executable = link, files = depset([link]), runfiles = ctx.runfiles([built]))]

mutants_binary = rule(
    implementation = _binary,
    doc = "The program `binary` of the test build.",
    executable = True,
    attrs = {
        "binary": attr.label(cfg = _transition, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

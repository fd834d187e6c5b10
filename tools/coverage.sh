#!/bin/bash
# coverage.sh [--sim-seeds N] [--json] [--document] [--missing] [MODULE...] -- which lines and branches
# of the cores the unit tests and the simulator reach; called by ./dev coverage. docs/simulator.md has
# the figures, in the form of --document.
set -euo pipefail

# shellcheck source=tools/lib.sh
source tools/lib.sh

seeds=100
report=()
while (($# > 0)); do
    case $1 in
    --sim-seeds)
        seeds=${2:?"--sim-seeds takes a number"}
        shift
        ;;
    --json) report+=(--json) ;;
    --document) report+=(--document) ;;
    --missing) report+=(--missing) ;;
    -*) fail "coverage: there is no option $1; --sim-seeds N, --json, --document, --missing, then modules" ;;
    *) report+=("$1") ;;
    esac
    shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
output_base=$(bazel info output_base 2>/dev/null)-coverage

covered() {
    bazel --output_base="$output_base" "$1" --config=coverage --symlink_prefix=/ --noshow_progress \
        --ui_event_filters=-info "${@:2}"
}

modules=(base ring paxos store shard router wire)
# Tests of cores; those of what is in their archives would see the counters.
bazel query --noshow_progress "let all = tests(//tests/golden/... + $(
    printf '//tests/unit/%s/... + ' "${modules[@]}"
)set()) in \$all except filter('/driver', \$all) except attr(tags, 'purity', \$all)" \
    >"$work/tests" 2>/dev/null
say "building with counters" >&2
{ cat "$work/tests" && echo //tests/sim; } >"$work/targets"
covered build --jobs="$(nproc)" --target_pattern_file="$work/targets" >&2

bin=$(covered info bazel-bin 2>/dev/null)
root=$(covered info execution_root 2>/dev/null)

# Counters go to a tree for each kind of run; their own names begin with /proc/self/cwd.
say "running the unit tests" >&2
covered test --local_test_jobs=2 --nocache_test_results --keep_going --test_env=GCOV_PREFIX="$work/unit" \
    --test_env=GCOV_PREFIX_STRIP=3 --target_pattern_file="$work/tests" >"$work/said" 2>&1 </dev/null ||
    { grep -E 'FAILED|TIMEOUT' "$work/said" >&2 && say "(some tests failed, above)" >&2; }

say "running $seeds seeds" >&2
seq 1 "$seeds" >"$work/seeds"
GCOV_PREFIX="$work/sim" GCOV_PREFIX_STRIP=3 "$bin/tests/sim/sim" --replay "$work/seeds" >"$work/said" 2>&1 ||
    { tail -5 "$work/said" >&2 && say "(a seed failed, above)" >&2; }

tools/coverage.py --root "$root" --unit "$work/unit" --sim "$work/sim" "${report[@]}"

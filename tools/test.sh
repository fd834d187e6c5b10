#!/bin/bash
# test.sh [--long] [TARGETS] -- all tests, tier by tier; called by ./dev test. tests/README.md says
# what each tier is. A test belongs to a tier by its tag; one that belongs to none is a failure.
set -euo pipefail

# shellcheck source=tools/lib.sh
source tools/lib.sh

long=0
targets=()
for argument in "$@"; do
    case $argument in
    --long) long=1 ;;
    -*) fail "test: there is no option $argument; only --long, then Bazel targets" ;;
    *) targets+=("$argument") ;;
    esac
done
whole_tree=0
if ((${#targets[@]} == 0)); then
    whole_tree=1
    targets=("//...")
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0
failed=0
failures=() # "TIER: name", for the end.
skips=()    # "name: reason".

bazel_flags=(--noshow_progress --jobs="$(nproc)")
long_flags=()
if ((long)); then
    long_flags=(--test_timeout=3600 --test_env=TORC_FUZZ_INPUTS=100000000 --test_env=TORC_FUZZ_MS=60000
        --test_env=TORC_DIFFER_COMMANDS=2000000)
fi
output_base=$(bazel info output_base 2>/dev/null) || fail "bazel does not start: $(bazel info 2>&1 | tail -5)"

# in_base NAME COMMAND...: Bazel in an output base of its own (plain is the ordinary one), so that
# going from one configuration to another rebuilds nothing.
in_base() {
    local base=$1 command=$2
    shift 2
    if [[ $base == plain ]]; then
        bazel "$command" "$@"
    elif [[ $command == shutdown ]]; then
        bazel --output_base="$output_base-$base" shutdown
    else
        bazel --output_base="$output_base-$base" "$command" --config="$base" --symlink_prefix=/ "$@"
    fi
}

minutes() {
    awk -v seconds="$1" 'BEGIN { printf "%.1f min", seconds / 60 }'
}

# tests_with EXPRESSION: labels. Packages that do not load are reported by the build.
tests_with() {
    bazel query --keep_going --noshow_progress "$1" 2>/dev/null || true
}

tagged() { # tagged TAG: a query for the tests among $all that carry the tag
    echo "attr(tags, '[\\[ ]$1[,\\]]', \$all)"
}

# A tier is the tests of some tags; without --long, less the long ones.
labels_of() {
    local expression="" tag
    for tag in "$@"; do
        expression+="${expression:+ + }$(tagged "$tag")"
    done
    expression="($expression)"
    ((long)) || expression+=" - $(tagged long)"
    tests_with "let all = tests(${targets[*]/%/ +} set()) in $expression"
}

fail_one() { # fail_one TIER NAME
    failed=$((failed + 1))
    failures+=("$1: $2")
}

# Adds one finished target: its Criterion cases when it has such, else itself.
count_target() {
    local tier=$1 label=$2 state=$3 log=$4 cases reason
    case $state in
    PASSED | FAILED | FLAKY | TIMEOUT) [[ -e $log ]] || log=/dev/null ;;
    *) log=/dev/null ;; # It did not run: a log is of an earlier time.
    esac
    if [[ $state == PASSED ]] && reason=$(grep -m1 '^SKIPPED: ' "$log"); then
        skips+=("$label: ${reason#SKIPPED: }")
        return
    fi
    cases=$(sed -n 's/.*Synthesis: Tested: \([0-9]*\) | Passing: \([0-9]*\) .*/\1 \2/p' "$log" | tail -1)
    if [[ -n $cases ]]; then
        local tested passing
        read -r tested passing <<<"$cases"
        passed=$((passed + passing))
        failed=$((failed + tested - passing))
        if ((passing < tested)); then
            failures+=("$tier: $label ($((tested - passing)) of $tested)")
            return
        elif ((tested == 0)); then
            fail_one "$tier" "$label has no tests in it"
            return
        elif [[ $state == PASSED ]]; then
            return
        fi
    elif [[ $state == PASSED ]]; then
        passed=$((passed + 1))
        return
    fi
    fail_one "$tier" "$label ($state)"
}

# run_tier NAME BASE JOBS TAG...: builds, runs and counts the tests that carry one of the tags.
run_tier() {
    local tier=$1 base=$2 jobs=$3 started=$SECONDS labels status=0
    local passed_before=$passed failed_before=$failed skipped_before=${#skips[@]}
    shift 3
    labels=$(labels_of "$@")
    [[ -n $labels ]] || return 0
    printf '%s\n' "$labels" >"$work/labels"
    # Built first: a compiler beside a test with a deadline would make it slow. What does not build
    # in the plain base has been shown by run_build.
    if ! in_base "$base" build "${bazel_flags[@]}" --keep_going --ui_event_filters=-info \
        --target_pattern_file="$work/labels" >"$work/said" 2>&1 && [[ $base != plain ]]; then
        cat "$work/said"
    fi
    local built=$((SECONDS - started))
    in_base "$base" test "${bazel_flags[@]}" "${long_flags[@]}" --keep_going --local_test_jobs="$jobs" \
        --target_pattern_file="$work/labels" >"$work/said" 2>&1 </dev/null || status=$?
    # What failing tests said; Bazel's own chatter and its summary stay out.
    sed -n '/^=* Test output for/,/^=\{80\}$/p' "$work/said"

    local logs label state counted=0 wanted
    wanted=$(wc -l <"$work/labels")
    logs=$(in_base "$base" info bazel-testlogs 2>/dev/null)
    while read -r label state; do
        counted=$((counted + 1))
        count_target "$tier" "$label" "$state" "$logs/$(tr : / <<<"${label#//}")/test.log"
    done < <(sed -nE 's/^(\/\/[^ ]+) +(\(cached\) )?(PASSED|FAILED TO BUILD|FAILED|FLAKY|TIMEOUT|NO STATUS|INCOMPLETE).*/\1 \3/p' "$work/said")
    if ((counted != wanted || (status != 0 && failed == failed_before))); then
        cat "$work/said"
        fail_one "$tier" "bazel ended with status $status and told of $counted of $wanted tests"
    fi
    printf '%-10s %5d passed %5d failed %5d skipped   %s, %s of it building\n' "$tier" \
        $((passed - passed_before)) $((failed - failed_before)) $((${#skips[@]} - skipped_before)) \
        "$(minutes $((SECONDS - started)))" "$(minutes "$built")"
}

# The house rules, and the tests of the tooling.
run_checks() {
    local started=$SECONDS passed_before=$passed failed_before=$failed word rule
    tools/check.py >"$work/said" 2>&1 || true
    grep -v '^PASSED' "$work/said" || true
    while read -r word rule; do
        case $word in
        PASSED) passed=$((passed + 1)) ;;
        FAILED) fail_one checks "$rule" ;;
        SKIPPED) skips+=("$rule") ;;
        esac
    done <"$work/said"
    ((passed > passed_before)) || fail_one checks "tools/check.py did not run"
    local script
    for script in tests/tools/*_test.py; do
        if "$script" >"$work/said" 2>&1; then
            passed=$((passed + $(sed -n 's/^Ran \([0-9]*\) tests.*/\1/p' "$work/said")))
        else
            cat "$work/said"
            fail_one checks "$script"
        fi
    done
    printf '%-10s %5d passed %5d failed %5d skipped   %s\n' checks $((passed - passed_before)) \
        $((failed - failed_before)) "${#skips[@]}" "$(minutes $((SECONDS - started)))"
}

# Everything loads and builds, and every test is in a tier.
run_build() {
    local started=$SECONDS failed_before=$failed stray
    if ! bazel build "${bazel_flags[@]}" --keep_going --ui_event_filters=-info -- "${targets[@]}"; then
        fail_one build "${targets[*]}"
    fi
    stray=$(tests_with "let all = tests(${targets[*]/%/ +} set()) in \$all - $(
        tagged '(unit|golden|property|purity|fuzz_replay|harness|process)'
    )")
    [[ -z $stray ]] || fail_one build "tests without the tag of a tier: ${stray//$'\n'/ }"
    printf '%-10s %5s        %5d failed                 %s\n' build "" $((failed - failed_before)) \
        "$(minutes $((SECONDS - started)))"
}

both=$(nproc)
((whole_tree == 0)) || run_checks
run_build
run_tier unit plain "$both" unit golden property purity
run_tier unit-asan asan "$both" unit golden property
run_tier fuzz asan "$both" fuzz_replay
run_tier harness plain "$both" harness
((long == 0)) || run_tier threads tsan "$both" tsan
in_base asan shutdown >/dev/null 2>&1 || true # Its memory is for the processes now.
((long == 0)) || in_base tsan shutdown >/dev/null 2>&1 || true
run_tier process plain 1 process
[[ -z ${CI:-} ]] || bazel shutdown

if ((${#failures[@]} > 0)); then
    echo
    printf 'FAILED   %s\n' "${failures[@]}"
fi
if ((${#skips[@]} > 0)); then
    echo
    printf 'SKIPPED  %s\n' "${skips[@]}"
fi
((passed + failed > 0)) || fail_one test "no test matches ${targets[*]}"
echo
echo "total: $(minutes $SECONDS)"
if ((${#skips[@]} > 0)); then
    echo "$passed passed, $failed failed, ${#skips[@]} skipped"
else
    echo "$passed passed, $failed failed"
fi
((failed == 0))

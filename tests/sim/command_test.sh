#!/bin/bash
# command_test.sh SIM PLANTED -- the command line: what is wrong is said, what runs side by side comes
# to the same, reports add up, and a failing run is made smaller. PLANTED is SIM with bugs to switch on.
set -uo pipefail

sim=$1
planted=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

# refuses TEXT ARGUMENTS...: status 2, and one line that holds the text.
refuses() {
    local text=$1 said status=0
    shift
    said=$("$sim" "$@" 2>&1) || status=$?
    [[ $status == 2 && $said == *"$text"* && $(wc -l <<<"$said") == 1 ]] || fail "sim $*: $status: $said"
}

refuses "there is no option '--frob'" --frob
refuses "--jobs takes a number from 1 to 64, not '0'" --jobs 0
refuses "--seed takes a number" --seed -1
refuses "--seeds takes two numbers" --seeds 3
refuses "--faults takes none, all, or names" --faults fire
refuses "--nodes needs a value" --nodes
refuses "--shrink needs one failing run" --shrink
refuses "--trace shows one run" --trace
refuses "needs at least as many nodes" --nodes 3 --replicas 5
refuses "No such file" --sum "$work/none"
"$sim" --help | grep -q -- '--shrink' || fail "--help does not tell of --shrink"

# Figures of time differ from run to run; nothing else may.
table() {
    "$sim" --seeds 1..20 "$@" | sed -E 's/, [0-9]+ simulated hours an hour of one core//;s/, [0-9]+ a second of one core//'
}
table --jobs 1 >"$work/one"
table --jobs 3 >"$work/three"
cmp "$work/one" "$work/three" || fail "three jobs come to something else than one"

"$sim" --seeds 1..8 --report "$work/report" >"$work/said" || fail "seeds 1..8"
"$sim" --seeds 9..20 --report "$work/report" >"$work/said" || fail "seeds 9..20"
"$sim" --sum "$work/report" | grep -v '^commit\|a second of one core\|hours an hour' >"$work/sum"
grep -v '^seeds\|a second of one core\|hours an hour' "$work/one" | grep -v 'messages delivered\|simulated hours' >"$work/expected"
grep -v 'messages delivered\|simulated hours' "$work/sum" | diff - "$work/expected" || fail "two pieces do not add up to the whole"
"$sim" --seeds 20..21 --report "$work/report" >"$work/said"
refuses "its seeds were in an earlier line" --sum "$work/report"

# A planted bug fails at some seed; the smaller command that is printed fails by the same checker.
export TORC_MUTANT=RECORD_NOT_ASKED
"$planted" --seeds 1..100 --jobs 2 >"$work/said" 2>"$work/failure" && fail "a planted bug passes a hundred seeds"
read -r seed checker < <(sed -nE 's/^FAILED: seed ([0-9]+): ([a-z]+): .*/\1 \2/p' "$work/failure")
grep -q 'replay: ./dev sim --seed' "$work/failure" || fail "a failure without its replay"
"$planted" --seed "$seed" --shrink >"$work/shrunk" || fail "--shrink --seed $seed"
command=$(tail -1 "$work/shrunk")
[[ $command == "./dev sim --seed $seed --"* ]] || fail "nothing was taken away: $command"
read -ra words <<<"$command"
"$planted" "${words[@]:2}" >"$work/said" 2>"$work/failure"
grep -q "^FAILED: seed $seed: $checker:" "$work/failure" ||
    fail "the smaller command does not fail by $checker: $command"
cat "$work/shrunk"
((failures == 0))

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
refuses "give one of them" --seed 7 --seeds 1..5
refuses "--report is of a batch" --seed 7 --report "$work/report"
refuses "--faults takes none, all, or names" --faults ""
refuses "--report $work/none/report: No such file" --seeds 1..2 --report "$work/none/report"
echo "# nothing" >"$work/empty"
refuses "no line of it begins with a seed" --replay "$work/empty"
refuses "no line of it begins with a seed" --replay "$work"
"$sim" --seeds 1..2 >/dev/full 2>"$work/said" && fail "what can not be written is written"
grep -q 'can not be written: No space' "$work/said" || fail "/dev/full: $(cat "$work/said")"

# A process that is killed leaves its seed behind.
"$sim" --seeds 1..100000 >"$work/said" 2>"$work/failure" &
batch=$!
until worker=$(pgrep -P "$batch"); do sleep 0.05; done
sleep 0.3
kill -9 "$worker"
wait "$batch" && fail "a batch whose process was killed passes"
grep -q '^FAILED: seed [0-9]*: its process ended by signal 9' "$work/failure" || fail "kill -9: $(cat "$work/failure")"
"$sim" --help | grep -q -- '--shrink' || fail "--help does not tell of --shrink"

# One that is interrupted says what it came to so far.
"$sim" --seeds 1..100000 >"$work/said" 2>"$work/failure" &
batch=$!
until pgrep -P "$batch" >/dev/null; do sleep 0.05; done
sleep 1
kill -INT "$batch"
wait "$batch"
[[ $? == 130 ]] || fail "a batch that was interrupted says $?"
grep -q '^seeds 1\.\.[0-9]* passed' "$work/said" || fail "interrupted: $(tail -3 "$work/said")"
grep -q '^sim: interrupted after [1-9]' "$work/failure" || fail "interrupted: $(cat "$work/failure")"

# Figures of time differ from run to run; nothing else may.
table() {
    "$sim" --seeds 1..20 "$@" | sed -E 's/, [0-9]+ simulated hours an hour of one core//;s/, [0-9]+ a second of one core//'
}
table --jobs 1 >"$work/one"
table --jobs 3 >"$work/three"
cmp "$work/one" "$work/three" || fail "three jobs come to something else than one"

# sums TEXT: --sum of the report fails with it.
sums() {
    local status=0
    "$sim" --sum "$work/report" >"$work/said" 2>&1 || status=$?
    if [[ $status != 1 ]] || ! grep -q "$1" "$work/said"; then
        fail "--sum: $status: $(tail -2 "$work/said")"
    fi
}
: >"$work/report"
sums "it has no line of a report"
"$sim" --seeds 1..2 --report "$work/report" >"$work/said"
sums "its commit is not known"
export TORC_COMMIT=abc1234
: >"$work/report"
"$sim" --seeds 5..6 --report "$work/report" >"$work/said"
"$sim" --seeds 1..3 --report "$work/report" >"$work/said"
sums "seeds 4..4 are in no line"
: >"$work/report"
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

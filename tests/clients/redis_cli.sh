#!/bin/bash
# redis-cli and redis-benchmark against a router; conduct.c says how this is run.
set -euo pipefail

readonly port=$1 keys=10000 big=$((1 << 20)) value_size_max=$((8 << 20))
readonly scratch=${TEST_TMPDIR:?}

if [[ $port == check ]]; then
    if ! command -v redis-cli >/dev/null || ! command -v redis-benchmark >/dev/null; then
        echo "SKIPPED: redis-tools is not installed"
    fi
    exit 0
fi

fail() {
    echo "redis_cli.sh: $*" >&2
    exit 1
}

cli() {
    redis-cli -p "$port" "$@"
}

# same WANTED GOT
same() {
    [[ $1 == "$2" ]] || fail "line ${BASH_LINENO[0]}: got '${2:0:400}' instead of '${1:0:400}'"
}

start_up() {
    same 2 "$(cli -2 HELLO 2 | grep -A1 -x proto | tail -1)"
    same 3 "$(cli -3 HELLO | grep -x 'proto.*' | cut -d' ' -f2)"
    cli INFO | grep -q '^redis_version:7\.' || fail "INFO does not tell a version"
    same "$(cli COMMAND COUNT)" "$(cli COMMAND LIST | grep -cv '|')"
    cli COMMAND DOCS GET | grep -q '^summary' || fail "COMMAND DOCS does not tell of GET"
    [[ $(cli CLUSTER INFO) == *"cluster support disabled"* ]] || fail "CLUSTER INFO: not the error"
}

pipeline() {
    local i
    for ((i = 1; i <= 500; i++)); do
        echo "SET pipe:$i $i"
        echo "GET pipe:$i"
    done >"$scratch/commands"
    same "$(seq 500 | sed 's/^/OK\n/')" "$(cli <"$scratch/commands")"
    same "errors: 0, replies: 1000" "$(cli --pipe <"$scratch/commands" | tail -1)"
    same "$(seq 1000)" "$(cli -r 1000 INCR pipe:n)"
    same OK "$(cli FLUSHALL)"
}

scan() {
    seq "$keys" | sed 's/.*/SET scan:& 1/' | cli --pipe >"$scratch/said"
    same "errors: 0, replies: $keys" "$(tail -1 "$scratch/said")"
    same "$keys" "$(cli DBSIZE)"
    same "$(seq "$keys" | sed 's/^/scan:/' | sort)" "$(cli --scan | sort -u)"
    same $((keys / 10)) "$(cli --scan --pattern 'scan:*7' | sort -u | wc -l)"
    cli --bigkeys | grep -q "^Sampled $keys keys" || fail "--bigkeys does not see all keys"
}

big_values() {
    local value said
    value=$(head -c "$big" /dev/zero | tr '\0' v)
    same OK "$(cli -x SET big <<<"$value")"
    same "$value" "$(cli GET big)"
    {
        echo CLIENT ID
        echo "SET big $(head -c $((value_size_max + 1)) /dev/zero | tr '\0' x)"
        echo CLIENT ID
    } >"$scratch/commands"
    mapfile -t said < <(cli <"$scratch/commands" | sed '/^$/d')
    same "${said[0]}" "${said[2]}"
    [[ ${said[1]} == ERR*value_size_max* ]] || fail "a value that is too big: ${said[1]}"
    same $((big + 1)) "$(cli STRLEN big)"
}

expiry() {
    local deadline=$((SECONDS + 10))
    same OK "$(cli SET long 1 EX 100)"
    same 1 "$(cli PERSIST long)"
    same -1 "$(cli TTL long)"
    same OK "$(cli SET brief 1 PX 300)"
    while [[ $(cli EXISTS brief) != 0 ]]; do
        ((SECONDS < deadline)) || fail "a key does not expire"
    done
    same -2 "$(cli TTL brief)"
    same OK "$(cli FLUSHALL)"
}

# The requests are counted exactly: without -r all of them name one key.
benchmark() {
    redis-benchmark -p "$port" -q -n 20000 -c 20 -P 16 -t ping,set,get,incr,mset >"$scratch/said" ||
        fail "redis-benchmark: $(cat "$scratch/said")"
    tr '\r' '\n' <"$scratch/said" | grep 'per second' || fail "redis-benchmark did nothing"
    same 20000 "$(cli GET counter:__rand_int__)"
}

# add COUNTER: by a redis-cli of its own. What is not answered is unknown.
added=0 unknown=0
add() {
    local said
    said=$(cli INCR "$1" 2>&1 </dev/null) || true
    case $said in
    [1-9]*) added=$((added + 1)) ;;
    *"nothing was done"*) ;;
    UNKNOWN* | *"Server closed the connection"* | *"Connection reset"*) unknown=$((unknown + 1)) ;;
    "Could not connect"*) ;;
    *) fail "INCR: $said" ;;
    esac
}

# load ORDER: adds to a counter and writes keys once each while that happens, and a little longer.
load() {
    local i=0 more=50 key counter line written=()
    added=0 unknown=0
    echo "$1"
    while ((more > 0)); do
        key=load:$1:$i
        if [[ $(cli SET "$key" "$i" 2>&1 </dev/null) == OK ]]; then
            written+=("$key")
        fi
        add "load:$1"
        i=$((i + 1))
        if read -r -t 0; then
            more=$((more - 1))
        fi
        ((SECONDS < 120)) || fail "the load does not go on"
    done
    read -r line
    same "done" "$line"
    same "${written[*]##*:}" "$(cli MGET "${written[@]}" | paste -sd ' ')"
    counter=$(cli GET "load:$1")
    echo "$1: acknowledged $added, unknown $unknown, counter $counter"
    ((counter >= added && counter <= added + unknown)) || fail "the counter is wrong"
}

# A benchmark under way when a leader is killed: its connections live, and its INCRs are counted
# exactly unless it says that it does not know of one.
benchmark_kill() {
    local line pid
    redis-benchmark -p "$port" -q -n 60000 -c 16 INCR over >"$scratch/said" 2>&1 </dev/null &
    pid=$!
    until [[ $(cli GET over) -gt 1000 ]]; do
        kill -0 "$pid" || fail "redis-benchmark: $(tr '\r' '\n' <"$scratch/said" | tail -3)"
    done
    echo kill
    read -r line
    same "done" "$line"
    if wait "$pid"; then
        same 60000 "$(cli GET over)"
    else
        grep 'UNKNOWN' "$scratch/said" || fail "redis-benchmark: $(tr '\r' '\n' <"$scratch/said" | tail -3)"
    fi
}

redis-cli --version
redis-benchmark --version
for test in start_up pipeline scan big_values expiry benchmark; do
    started=${EPOCHREALTIME/./}
    "$test"
    echo "$test: $(((${EPOCHREALTIME/./} - started) / 1000)) ms"
done
load kill
benchmark_kill
load router
same OK "$(cli FLUSHALL)"
benchmark

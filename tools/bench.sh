#!/bin/bash
# bench.sh all|soak|micro DIR -- installs and builds what ./dev bench runs; called by it.
set -euo pipefail

# shellcheck source=tools/lib.sh
source tools/lib.sh

what=$1
dir=$2

# The processes of etcd and Redis, whoever started them.
peers() {
    pgrep -x etcd || true
    pgrep -x redis-server || true
}

install_needed
case $what in
micro)
    bazel_build "//benchmarks/micro"
    exit
    ;;
soak) ;;
*)
    mapfile -t names < <(sed 's/#.*//' benchmarks/packages.txt | tr -s ' ' '\n' | sed '/^$/d')
    # Debian's packages start servers of their own; what is already there is left alone.
    running=$(peers)
    install_packages "${names[@]}"
    [[ $(peers) == "$running" ]] ||
        say "Debian's packages started servers of their own: stop them, or figures are not worth much"
    GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode \
        go build -o "$dir/etcd-load" benchmarks/etcd_load/main.go || fail "etcd-load was not built (above)"
    ;;
esac
bazel_build "//benchmarks/load:all //admin:all //shard/driver:all //router/driver:all"

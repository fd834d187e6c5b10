#!/bin/bash
# fresh.sh [root|user] -- the newcomer's commands in pristine Debian 12 systems; ./dev fresh.
#
# Each system is a folder made by mmdebstrap with nothing but git, entered with chroot in namespaces
# of its own for mounts and processes. HEAD is cloned into it (what is not committed is not tested).
# As root: `./dev test`, then the cluster. As an ordinary user with sudo: the cluster first, so that
# `./dev up` too is seen to do all its set-up. Logs: .torc/fresh/.
set -euo pipefail

# shellcheck source=tools/lib.sh
source tools/lib.sh

# What the newcomer types. TORC_FRESH_TEST=deps only installs: a quick look at fresh itself.
cluster_steps='
step ./dev up --detach
step ./dev ps --json
step redis-cli -p 7379 ping
step ./dev down'
test_steps="step ./dev ${TORC_FRESH_TEST:-test}"

# make_root: a root file system as a tar file, from this machine's own package sources.
make_root() {
    local sources=() options=() line file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        [[ ! -s $file ]] || sources+=("$file")
    done
    while read -r line; do
        options+=("--aptopt=$line")
    done < <(apt-config dump | grep -E '^Acquire::(http|https)::Proxy ' || true)
    say "making a pristine Debian 12"
    mmdebstrap --quiet --variant=apt --include=git "${options[@]}" bookworm "$1" "${sources[@]}"
}

# enter ROOT COMMAND...: as root inside, with /proc, /dev, /dev/shm and the machine's network.
enter() {
    # The inner shell expands these.
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child --propagation private bash -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/dev/shm"
        mount -t tmpfs tmpfs "$root/run"
        cat /etc/resolv.conf >"$root/etc/resolv.conf"
        cat /etc/hosts >"$root/etc/hosts"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
    ' enter "$@" </dev/null
}

# A newcomer's session: stops at the first command that fails.
session() {
    cat <<END
set -euo pipefail
step() {
    echo "\$ \$*"
    local started=\$SECONDS
    "\$@"
    echo "(\$((SECONDS - started)) s)"
}
cd
step git -c advice.detachedHead=false clone --quiet /torc.bundle torc
cd torc
$1
END
}

# try_as root|user: the verdict is the exit status of the session.
try_as() {
    local who=$1 root="$work/$1" log="$logs/$1.log" login
    mkdir "$root"
    tar -C "$root" -xf "$work/root.tar"
    cp "$work/torc.bundle" "$root/torc.bundle"
    if [[ $who == root ]]; then
        login=(bash -l /session)
        session "$test_steps$cluster_steps" >"$root/session"
    else
        enter "$root" bash -euc '
            apt-get -qq update
            DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends sudo
            useradd --create-home --shell /bin/bash newcomer
            echo "newcomer ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/newcomer' >"$log" 2>&1 || return 1
        login=(su --login newcomer --command 'bash /session')
        session "$cluster_steps
$test_steps" >"$root/session"
    fi
    enter "$root" "${login[@]}" >>"$log" 2>&1
}

who=${1:-root user}
[[ $who == root || $who == user || $who == "root user" ]] || fail "fresh: root or user, not '$who'"
if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "fresh needs root (mmdebstrap, chroot), and there is no sudo"
    exec sudo TORC_FRESH_TEST="${TORC_FRESH_TEST:-}" tools/fresh.sh "$@"
fi
install_packages mmdebstrap git

logs=.torc/fresh
mkdir -p "$logs"
work=$(mktemp -d -p /var/tmp torc-fresh.XXXXXX)
chmod 755 "$work"
trap 'rm -rf --one-file-system "$work"' EXIT
commit=$(git rev-parse --short HEAD)
git bundle create --quiet "$work/torc.bundle" HEAD
make_root "$work/root.tar"

status=0
verdicts=()
for name in $who; do
    started=$SECONDS
    say "as $name: $logs/$name.log"
    : >"$logs/$name.log"
    if try_as "$name"; then
        verdict=works
    else
        verdict="FAILED at: $(grep '^\$ ' "$logs/$name.log" | tail -1)"
        status=1
    fi
    cat "$logs/$name.log"
    verdicts+=("fresh as $name, $commit: $verdict, $(((SECONDS - started) / 60)) min")
    rm -rf --one-file-system "${work:?}/$name"
done
printf '%s\n' "${verdicts[@]}"
exit "$status"

#!/bin/bash
# node.sh LIBRARY check|PORT -- node.js runs LIBRARY.js with the packages of package-lock.json, which
# `check` installs into TEST_TMPDIR.
set -euo pipefail

library=$1 what=$2
packages=${TEST_TMPDIR:?}/packages
source=$(dirname "$0")/node

skip() {
    echo "SKIPPED: $*"
    exit 0
}

if [[ $what != check ]]; then
    exec env NODE_PATH="$packages/node_modules" node --preserve-symlinks-main "$source/$library.js" "$what"
fi

command -v node >/dev/null || skip "node is not installed"
command -v npm >/dev/null || skip "npm is not installed"
(($(node -p 'process.versions.node.split(".")[0]') >= 20)) || skip "node $(node -v) is older than v20"
mkdir "$packages"
cp -L "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$packages"
cd "$packages"
# The user's own settings say where the registry is; Bazel hides them.
HOME=$(getent passwd "$EUID" | cut -d: -f6)
export HOME
status=0
timeout 90 npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --no-update-notifier \
    --fetch-retries=1 --fetch-timeout=20000 >npm.log 2>&1 || status=$?
((status != 0)) || exit 0
# Only a registry that does not answer is a reason: one that has other packages is not.
silent='code (ERR_SOCKET_TIMEOUT|FETCH_ERROR|'
silent+='E(NOTFOUND|AI_AGAIN|CONN(REFUSED|RESET)|TIMEDOUT|HOSTUNREACH|NETUNREACH|5..))'
if ((status == 124)) || grep -qE "$silent" npm.log; then
    skip "the registry of npm does not answer: $(grep -Em1 "$silent" npm.log || echo "no word in 90 s")"
fi
cat npm.log
exit 1

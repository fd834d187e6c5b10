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
npm=(timeout 60 npm --no-audit --no-fund --no-update-notifier --fetch-retries=1 --fetch-timeout=20000)
if ! "${npm[@]}" ping >npm.log 2>&1; then
    skip "the registry of npm does not answer: $(grep -m1 'error' npm.log || echo "no word in 60 s")"
fi
if ! "${npm[@]}" ci --ignore-scripts >npm.log 2>&1; then
    cat npm.log
    exit 1
fi

#!/bin/bash
# links_test.sh SIM -- the simulator runs the cores and nothing of the shells under them.
set -euo pipefail

libraries=$(ldd "$1")
if grep -E 'zmq|rocksdb|libuv' <<<"$libraries"; then
    echo "the simulator links a shell's library (above)"
    exit 1
fi
symbols=$(nm "$1")
grep -q ' T main$' <<<"$symbols" # Not stripped: else the next would prove nothing.
if grep -E ' (zmq_|rocksdb_|uv_)[a-z]' <<<"$symbols"; then
    echo "the simulator has a shell's library in it (above)"
    exit 1
fi

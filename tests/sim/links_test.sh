#!/bin/bash
# links_test.sh SIM -- the simulator runs the cores and nothing of the shells under them.
set -euo pipefail

libraries=$(ldd "$1")
if grep -E 'zmq|rocksdb|libuv' <<<"$libraries"; then
    echo "the simulator links a shell's library (above)"
    exit 1
fi

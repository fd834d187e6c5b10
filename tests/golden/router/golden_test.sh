#!/bin/bash
# golden_test.sh PROGRAM SCRIPT -- plays the script and compares with the actions that stand in it;
# plays it twice, since the same events must give the same actions.
set -euo pipefail
first=$("$1" "$2")
second=$("$1" "$2")
if [[ $first != "$second" ]]; then
    echo "two runs of ${2##*/} differ"
    exit 1
fi
diff -u "$2" <(printf '%s\n' "$first") || {
    echo "the actions are not those of ${2##*/}"
    exit 1
}

#!/bin/bash
# impure_test.sh CHECK ALLOWED ARCHIVE... -- check.sh must refuse the impure archive, and say why.
set -euo pipefail

check=$1
shift
if said=$("$check" "$@"); then
    if [[ $said == SKIPPED:* ]]; then
        echo "$said"
        exit 0
    fi
    echo "check.sh passed an archive that reads the clock and keeps a variable"
    exit 1
fi
echo "$said"
grep -q '^not in allowed.txt: time$' <<<"$said" # ... and torc_status_text is not complained about.
grep -q '^variables that outlive a call: \.bss' <<<"$said"

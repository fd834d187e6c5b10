#!/bin/bash
# check.sh ALLOWED ARCHIVE... -- is a core pure? Two questions to its archives, in the plain build:
# do they refer only to symbols that ALLOWED lists (or that they define), and are they free of
# variables that outlive a call? ALLOWED has one symbol a line, `prefix*` for a family, # comments.
set -euo pipefail

allowed=$1
shift
archives=()
for file in "$@"; do
    case $file in *.a) archives+=("$file") ;; esac
done
if ((${#archives[@]} == 0)); then
    echo "check.sh: no archive among: $*" >&2
    exit 2
fi

if nm "${archives[@]}" | grep ' U __\(asan\|tsan\|ubsan\)_' >/dev/null; then
    echo "SKIPPED: the archives are built with a sanitizer, whose own symbols hide the question"
    exit 0
fi

failed=0

strangers=$(nm "${archives[@]}" 2>/dev/null | awk -v allowed="$allowed" '
    BEGIN {
        while ((status = (getline line < allowed)) > 0) {
            sub(/#.*/, "", line)
            gsub(/[ \t]/, "", line)
            if (line ~ /\*$/)
                prefixes[substr(line, 1, length(line) - 1)]
            else if (line != "")
                symbols[line]
        }
        if (status < 0) {
            print "(cannot read " allowed ")"
            exit
        }
    }
    NF == 2 && $1 == "U" { wanted[$2] }
    NF == 3 { symbols[$3] }
    END {
        for (symbol in wanted) {
            found = symbol in symbols
            for (prefix in prefixes)
                found = found || index(symbol, prefix) == 1
            if (!found)
                print symbol
        }
    }' | sort)
if [[ -n $strangers ]]; then
    printf 'not in %s: %s\n' "${allowed##*/}" "${strangers//$'\n'/ }"
    failed=1
fi

# Constants with pointers in them are .data.rel.ro: written by the loader only.
variables=$(size -A "${archives[@]}" |
    awk '$1 ~ /^\.t?(data|bss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print $1 " (" $2 " bytes)" }')
if [[ -n $variables ]]; then
    printf 'variables that outlive a call: %s\n' "${variables//$'\n'/, }"
    failed=1
fi

if ((failed)); then
    printf 'in %s\n' "${archives[@]}"
fi
exit "$failed"

#!/bin/bash
# pages_test.sh PAGE... -- the manual pages are well-formed, as far as there is a program to say so,
# and refer to pages that there are.
set -euo pipefail

failed=0
names=$(
    sed -n 's/^\.Nm \(torc[a-z_]*\).*/\1/p' "$@"
    for page in "$@"; do basename "$page" .3; done
)
for page in "$@"; do
    if command -v mandoc >/dev/null; then
        mandoc -Tlint -Wwarning "$page" || failed=1
    elif command -v man >/dev/null; then
        said=$(LC_ALL=C.UTF-8 man --warnings=all -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
        if [[ -n $said ]]; then
            printf '%s: %s\n' "$page" "$said"
            failed=1
        fi
    else
        echo "SKIPPED: there is neither mandoc nor man"
    fi
    while read -r name; do
        if ! grep -qx "$name" <<<"$names"; then
            echo "$page: refers to $name(3), which there is not"
            failed=1
        fi
    done < <(sed -n 's/^\.Xr \(torc[a-z_]*\) 3.*/\1/p' "$page")
    # As wide as the other texts of the tree.
    if grep -n '.\{111,\}' "$page"; then
        echo "$page: too wide a line"
        failed=1
    fi
done
exit $failed

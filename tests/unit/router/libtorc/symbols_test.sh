#!/bin/bash
# symbols_test.sh HEADER MAP SHARED STATIC PAGE... -- header, version script, libraries and manual
# pages have the same functions, no more and no fewer, in the version that the script says.
set -euo pipefail

header=$1 map=$2 shared=$3 static=$4
shift 4
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT

sed -n 's/^ *\(torc_[a-z_]*\);$/\1/p' "$map" | sort >"$dir/map"
version=$(sed -n 's/^\(TORC_[0-9.]*\) {$/\1/p' "$map")

# Functions with a body in the header are no symbols.
cc -E -P "$header" | tr '\n' ' ' | sed 's/[;{}]/&\n/g' | grep -v 'static inline\|typedef' |
    grep ';' | grep -o '\btorc_[a-z_]*(' | tr -d '(' | grep -v -x -e torc_bytes -e torc_text |
    sort -u >"$dir/header"
nm -D --defined-only --with-symbol-versions "$shared" |
    sed -n "s/^[0-9a-f]* T \(.*\)@@$version\$/\1/p" | sort >"$dir/shared"
nm -D --defined-only "$shared" | grep -c -v " A $version" >"$dir/shared_all" || true
nm -g --defined-only "$static" | sed -n 's/^[0-9a-f]* [A-Z] \(.*\)$/\1/p' | sort >"$dir/static"
cat "$@" | sed -n 's/^\.Fn \(torc_[a-z_]*\).*/\1/p; s/^\.Fo \(torc_[a-z_]*\).*/\1/p' |
    sort -u | grep -v -x -e torc_bytes -e torc_text >"$dir/pages"

failed=0
for list in header shared static pages; do
    if ! diff "$dir/map" "$dir/$list"; then
        echo "$list: < only in the version script, > only here"
        failed=1
    fi
done
if [[ $(<"$dir/shared_all") != $(wc -l <"$dir/map") ]]; then
    echo "$shared exports more than functions of $version"
    failed=1
fi
exit $failed

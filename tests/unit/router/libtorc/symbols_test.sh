#!/bin/bash
# symbols_test.sh HEADER MAP SHARED STATIC PAGE... -- header, version script, libraries and manual
# pages have the same functions, no more and no fewer, in the version that the script says. Header and
# pages have the same structs.
set -euo pipefail

header=$1 map=$2 shared=$3 static=$4
shift 4
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT

sed -n 's/^ *\(torc_[a-z_]*\);$/\1/p' "$map" | sort >"$dir/map"
version=$(sed -n 's/^\(TORC_[0-9.]*\) {$/\1/p' "$map")

cc -E -P "$header" >"$dir/plain"
# Functions with a body in the header are no symbols.
tr '\n' ' ' <"$dir/plain" | sed 's/[;{}]/&\n/g' | grep -v 'static inline\|typedef' |
    grep ';' | grep -o '\btorc_[a-z_]*(' | tr -d '(' | grep -v -x -e torc_bytes -e torc_text |
    sort -u >"$dir/header"
nm -D --defined-only --with-symbol-versions "$shared" |
    sed -n "s/^[0-9a-f]* T \(.*\)@@$version\$/\1/p" | sort >"$dir/shared"
nm -D --defined-only "$shared" | grep -c -v " A $version" >"$dir/shared_all" || true
nm -g --defined-only "$static" | sed -n 's/^[0-9a-f]* [A-Z] \(.*\)$/\1/p' | sort >"$dir/static"
# Pages have those too: shown (synopses), and with the name under which a page is found (names).
{
    cat "$dir/map"
    sed -n 's/^static inline [^(]*\b\(torc_[a-z_]*\)(.*/\1/p' "$dir/plain"
} | sort >"$dir/public"
cat "$@" | sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/s/^\.F[no] \(torc_[a-z_]*\).*/\1/p' |
    sort >"$dir/synopses"
cat "$@" | sed -n 's/^\.Nm \(torc_[a-z_]*\).*/\1/p' | sort >"$dir/names"
# One line for each member: "torc_bytes: size_t size;".
members() {
    sed -n '/^struct torc_[a-z_]* {$/,/^};$/p' | tr -s ' ' |
        sed -n '/^struct/{s/^struct \(.*\) {$/\1/;h;d};/^}/d;s/^ //;G;s/\(.*\)\n\(.*\)/\2: \1/p'
}
members <"$dir/plain" | sort -s -t : -k 1,1 >"$dir/structs"
cat "$@" | members | sort -s -t : -k 1,1 >"$dir/structs_shown"

failed=0
same() { # ONE OTHER WHAT
    if ! diff "$dir/$1" "$dir/$2"; then
        echo "$2: < only in $3, > only here"
        failed=1
    fi
}
for list in header shared static; do
    same map "$list" "the version script"
done
same public synopses "the header"
same public names "the header"
same structs structs_shown "the header"
if [[ ! -s $dir/structs ]]; then
    echo "$header: no struct was found"
    failed=1
fi
if [[ $(<"$dir/shared_all") != $(wc -l <"$dir/map") ]]; then
    echo "$shared exports more than functions of $version"
    failed=1
fi
exit $failed

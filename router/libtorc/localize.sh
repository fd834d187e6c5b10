#!/bin/bash
# localize.sh MAP OUT ARCHIVE... -- one static library of many archives, in which nothing has a name
# but what the version script MAP exports: so it cannot clash with a program's own functions.
set -euo pipefail

map=$1 out=$2
shift 2
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
sed -n 's/^ *\(torc_[a-z_]*\);$/\1/p' "$map" >"$dir/names"
ld -r -o "$dir/libtorc.o" --whole-archive "$@"
objcopy --keep-global-symbols="$dir/names" "$dir/libtorc.o"
rm -f "$out"
ar rcsD "$out" "$dir/libtorc.o"

#!/bin/bash
# What is installed is enough to compile, link and run a program, with either library, in the ways that
# torc(3) names.
set -euo pipefail

if ! command -v pkg-config >/dev/null; then
    echo "SKIPPED: there is no pkg-config"
    exit 0
fi
root=$PWD # Of the runfiles, which have the places of the tree and of what was built.
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
prefix="$dir/a prefix"
router/libtorc/install.sh "$root" "$root" "$prefix"

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
cp -L router/libtorc/examples/*.[ch] "$dir"
cd "$dir"
flags=() shared=() static=() # A path with a blank is quoted for eval.
eval "flags=($(pkg-config --cflags torc))"
eval "shared=($(pkg-config --libs torc))"
eval "static=($(pkg-config --static --libs torc | sed s/-ltorc/-l:libtorc.a/))"
flags+=(-std=c99 -Wall -Wextra -Werror)
for source in *.c; do
    cc "${flags[@]}" "$source" -o shared "${shared[@]}"
    cc "${flags[@]}" "$source" -o static "${static[@]}"
    readelf -d shared | grep -q 'NEEDED.*libtorc\.so\.0'
    if readelf -d static | grep -q 'NEEDED.*libtorc'; then
        echo "$source: linked with the shared library after all"
        exit 1
    fi
    for program in shared static; do
        code=0
        LD_LIBRARY_PATH=$prefix/lib "./$program" 2>said || code=$?
        if ((code != 2)) || ! grep -q '^usage: ' said; then
            echo "$program of $source: exit status $code"
            cat said
            exit 1
        fi
    done
done

# A handle opens, and its calls end, also without a cluster.
cc "${flags[@]}" put_get.c -o shared "${shared[@]}"
code=0
LD_LIBRARY_PATH=$prefix/lib timeout 20 ./shared 00112233445566778899aabbccddeeff \
    tcp://127.0.0.1:1 2>said || code=$?
((code == 1)) && grep -q '^put: deadline passed' said

c++ "${flags[@]/-std=c99/-std=c++11}" -fsyntax-only -include torc.h -x c++ /dev/null
[[ $(pkg-config --modversion torc) == $(sed -n 's/.*VERSION "\(.*\)"/\1/p' "$root/base/version.h") ]]
[[ -e $prefix/share/man/man3/torc.3 ]]
while read -r function; do
    if [[ ! -e $prefix/share/man/man3/$function.3 ]]; then
        echo "$function: no page is found under this name"
        exit 1
    fi
done < <(cc -E -P "$prefix/include/torc.h" | grep -o '\btorc_[a-z_]*(' | tr -d '(' | sort -u)

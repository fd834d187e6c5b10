#!/bin/bash
# install.sh ROOT BUILT PREFIX -- libtorc as programs find it: header, libraries, torc.pc, manual
# pages. ROOT is the tree, BUILT what was built of it: `./dev install PREFIX` knows both.
set -euo pipefail

if (($# != 3)); then
    echo "usage: install.sh ROOT BUILT PREFIX" >&2
    exit 2
fi
root=$1 built=$2/router/libtorc
mkdir -p "$3"
prefix=$(cd "$3" && pwd)
version=$(sed -n 's/^#define TORC_VERSION "\(.*\)"$/\1/p' "$root/base/version.h")

install -d "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/share/man/man3"
install -m 644 "$root/router/torc.h" "$prefix/include/torc.h"
install -m 644 "$built/libtorc.a" "$prefix/lib/libtorc.a"
install -m 755 "$built/libtorc.so.0" "$prefix/lib/libtorc.so.$version"
ln -sf "libtorc.so.$version" "$prefix/lib/libtorc.so.0"
ln -sf libtorc.so.0 "$prefix/lib/libtorc.so"
# A blank in a path is quoted for pkg-config, and & and | for sed.
quoted=$(sed -e 's/ /\\ /g' -e 's/[&|\\]/\\&/g' <<<"$prefix")
sed -e "s|@PREFIX@|$quoted|" -e "s|@VERSION@|$version|" "$root/router/libtorc/torc.pc.in" \
    >"$prefix/lib/pkgconfig/torc.pc"
for page in "$root"/docs/man/*.3; do
    name=$(basename "$page")
    install -m 644 "$page" "$prefix/share/man/man3/$name"
    # Each function is found under its own name.
    while read -r function; do
        [[ $function.3 == "$name" ]] || ln -sf "$name" "$prefix/share/man/man3/$function.3"
    done < <(sed -n 's/^\.Nm \(torc_[a-z_]*\).*/\1/p' "$page")
done

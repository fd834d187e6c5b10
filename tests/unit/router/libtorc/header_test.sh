#!/bin/bash
# The public header stands alone: as C99, C11 and C++, with all warnings, next to nothing else.
#   header_test.sh torc.h
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
cp -L "$1" "$dir/torc.h"
for name in once.c once.cc; do
    printf '#include "torc.h"\n#include "torc.h"\nint main(void) { return 0; }\n' >"$dir/$name"
done
flags=(-pedantic-errors -Wall -Wextra -Werror -fsyntax-only)
for standard in c99 c11; do
    cc -std=$standard "${flags[@]}" -Wconversion -Wstrict-prototypes "$dir/once.c"
done
for standard in c++98 c++17; do
    c++ -std=$standard "${flags[@]}" "$dir/once.cc"
done

#!/usr/bin/env bash
# run.sh BUILD CXX: installs the build into a directory of its own, builds the user's project that
# this folder is from the installed copy alone, and runs its test and its program.
set -euo pipefail

build=$1 compiler=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/installed" --component troupe >/dev/null
if grep -rlF -e "$build" "$work/installed/include" "$work/installed/lib/cmake"; then
  echo "the files above name the build directory" >&2
  exit 1
fi
cp -r "$here" "$work/shop"
cmake -S "$work/shop" -B "$work/built" -DCMAKE_PREFIX_PATH="$work/installed" \
  -DCMAKE_CXX_COMPILER="$compiler" -G Ninja >/dev/null
cmake --build "$work/built"
"$work/built/shop_test"
"$work/built/shop" --help >/dev/null
"$work/installed/bin/troupe" help >/dev/null

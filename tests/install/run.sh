#!/usr/bin/env bash
# run.sh BUILD CXX: installs the build into a directory of its own and builds two user's projects
# from the installed copy alone: this folder, whose test and program are run, and samples/counter,
# which the guide shows.
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
# build_project FOLDER: a copy of it, so that nothing else of the tree is near.
build_project() {
  local name=${1##*/}
  cp -r "$1" "$work/$name"
  cmake -S "$work/$name" -B "$work/$name/build" -DCMAKE_PREFIX_PATH="$work/installed" \
    -DCMAKE_CXX_COMPILER="$compiler" -G Ninja >/dev/null
  cmake --build "$work/$name/build"
}
build_project "$here"
"$work/install/build/shop_test"
"$work/install/build/shop" --help >/dev/null
build_project "$here/../../samples/counter"
"$work/counter/build/counter" --help >/dev/null
"$work/installed/bin/troupe" help >/dev/null

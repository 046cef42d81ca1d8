#!/usr/bin/env bash
# run.sh BUILD CXX: installs the build into a directory of its own and builds three user's projects
# from the installed copy alone: this folder, whose test and program are run, samples/counter, which
# the guide shows, and what `./dev new` makes, whose test is run.
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
# copy_project FOLDER: so that nothing else of the tree is near.
copy_project() { cp -r "$1" "$work/${1##*/}"; }
build_project() {
  local name=$1
  cmake -S "$work/$name" -B "$work/$name/build" -DCMAKE_PREFIX_PATH="$work/installed" \
    -DCMAKE_CXX_COMPILER="$compiler" -G Ninja >/dev/null
  cmake --build "$work/$name/build"
}
copy_project "$here"
build_project install
"$work/install/build/shop_test"
"$work/install/build/shop" --help >/dev/null
copy_project "$here/../../samples/counter"
build_project counter
"$work/counter/build/counter" --help >/dev/null
"$here/../../dev" new "$work/my-shop"
build_project my-shop
ctest --test-dir "$work/my-shop/build" --output-on-failure --no-tests=error
"$work/my-shop/build/my-shop" --help >/dev/null
"$work/installed/bin/troupe" help >/dev/null

#!/usr/bin/env bash
# What `./dev new` makes is named as it was told to, twice is not the same, and what it cannot make
# it refuses, saying why.
set -euo pipefail

dev=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/dev
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "$*" >&2; exit 1; }
# refused TEXT ARGUMENT...: fails, says TEXT, and leaves all as it is.
refused() {
  local text=$1 before said
  shift
  before=$(find . | sort)
  if said=$("$dev" new "$@" 2>&1); then fail "not refused: $*"; fi
  [[ $said == *"$text"* ]] || fail "expected \"$text\" of $*, got: $said"
  [[ $(find . | sort) == "$before" ]] || fail "$* was refused and left something"
}

"$dev" new shop/my-shop 2>/dev/null
"$dev" new other-1 2>/dev/null
grep -q 'project(my-shop ' shop/my-shop/CMakeLists.txt || fail "the project is not named my-shop"
grep -q 'build/my-shop' shop/my-shop/Containerfile || fail "the image has no my-shop"
if grep -rl my-troupe-app .; then fail "the files above have the name of the template"; fi
id() { sed -n 's/^@\(0x[8-9a-f][0-9a-f]\{15\}\);$/\1/p' "$1/counter.capnp"; }
[[ -n $(id other-1) && $(id other-1) != "$(id shop/my-shop)" ]] || fail "the ids are not apart"
mkdir empty
"$dev" new empty 2>/dev/null

touch file
refused "not empty" other-1
refused "no directory" file
refused "expected a letter" 9lives
refused "expected a letter" "my shop"
refused "something else" test
refused "expected: new DIR"
refused "expected: new DIR" a b

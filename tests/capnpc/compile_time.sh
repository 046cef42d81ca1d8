#!/usr/bin/env bash
# compile_time.sh: what generated actors cost the compiler, for a schema of 50 interfaces.
#
#   compile_time.sh CAPNP CAPNPC_TROUPE CXX [FLAG...] -- IMPORT_ROOT...
#
# Compiles what capnpc-c++ alone writes (its source, and a file that includes its header), then the
# same with what capnpc-troupe writes: three times each, one after the other. Prints the least user
# time of each in seconds, and by how much the second is more.
set -euo pipefail

capnp=$1 plugin=$2
shift 2
compiler=()
while [[ $1 != -- ]]; do compiler+=("$1"); shift; done
shift
imports=()
for root in "$@"; do imports+=("-I$root"); done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/plain" "$work/troupe"

{
  echo '@0xd3a1f6b2c5e47908;'
  echo 'using Troupe = import "/troupe/actors/troupe.capnp";'
  for i in {1..50}; do
    cat <<END
interface Account$i \$Troupe.actor(state = "State$i") {
  deposit @0 (amount :UInt64) -> (balance :UInt64);
  transfer @1 (to :Text, amount :UInt64) -> (balance :UInt64);
  balance @2 () -> (balance :UInt64, pending :UInt64) \$Troupe.readOnly;
  rename @3 (name :Text, note :Text) -> (before :Text);
}
struct State$i { balance @0 :UInt64; name @1 :Text; pending @2 :List(UInt64); }
END
  done
} >"$work/many.capnp"

export TROUPE_SCHEMA_ROOT=$work
"$capnp" compile "-oc++:$work/plain" "--src-prefix=$work" "${imports[@]}" "$work/many.capnp"
"$capnp" compile "-o$plugin:$work/troupe" "--src-prefix=$work" "${imports[@]}" "$work/many.capnp"
echo '#include "many.capnp.h"' >"$work/plain/user.c++"
echo '#include "many.troupe.h"' >"$work/troupe/user.c++"

# seconds FOLDER: of all sources in it.
seconds() {
  local source TIMEFORMAT=%U
  {
    time for source in "$work/$1"/*.c++; do
      "${compiler[@]}" "${imports[@]}" -c "$source" -o "$source.o"
    done
  } 2>&1
}

least_plain=999999 least_troupe=999999
for _ in 1 2 3; do
  plain=$(seconds plain)
  troupe=$(seconds troupe)
  least_plain=$(awk -v a="$plain" -v b="$least_plain" 'BEGIN { print a < b ? a : b }')
  least_troupe=$(awk -v a="$troupe" -v b="$least_troupe" 'BEGIN { print a < b ? a : b }')
done
awk -v p="$least_plain" -v t="$least_troupe" \
  'BEGIN { printf "plain %.2f s, with actors %.2f s: %+.0f %%\n", p, t, 100 * (t / p - 1) }'

#!/usr/bin/env bash
# check.sh: what capnpc-troupe writes, and what it refuses.
#
#   check.sh golden|refused|update CAPNP CAPNPC_TROUPE IMPORT_ROOT...
#
# golden: generates the code of the schemas here and compares it with golden/, where x.declared.golden
# has what was added to x.capnp.h; update writes golden/ anew (target update-golden). refused: each
# schema of refused/ is to fail with exactly the errors that it tells: a line that ends in
# "# error: TEXT" is named by an error that contains TEXT.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=$1 capnp=$2 plugin=$3
shift 3
imports=()
for root in "$@"; do imports+=("-I$root"); done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# generate ROOT SCHEMA...
generate() {
  local root=$1
  shift
  TROUPE_SCHEMA_ROOT=$root "$capnp" compile "-o$plugin:$out" "--src-prefix=$root" "${imports[@]}" "$@"
}

make_golden() {
  local name header plain=$out/plain
  generate "$here" "$here"/{account,kinds,money}.capnp
  mkdir "$plain" "$out/golden"
  "$capnp" compile "-oc++:$plain" "--src-prefix=$here" "${imports[@]}" "$here"/{account,kinds,money}.capnp
  for name in account kinds money; do
    for header in troupe.h troupe-inl.h; do  # Under a name by which nothing formats them.
      cp "$out/$name.$header" "$out/golden/$name.$header.golden"
    done
    { diff "$plain/$name.capnp.h" "$out/$name.capnp.h" || true; } | grep '^>' | cut -c3- >"$out/golden/$name.declared.golden"
    cmp "$plain/$name.capnp.c++" "$out/$name.capnp.c++"
  done
}

# expected and told: "LINE TEXT" each.
check_refused() {
  local schema=$1 errors line text status=0
  if errors=$(generate "$here/refused" "$schema" 2>&1 >/dev/null); then
    echo "$schema was not refused" >&2
    return 1
  fi
  errors=$(grep ': error: ' <<<"$errors" || true)
  while IFS=: read -r line text; do
    text=${text##*# error: }
    if ! grep -qF -- "$text" <<<"$(grep -F "$schema:$line: error: " <<<"$errors")"; then
      echo "$schema:$line: is to be refused with: $text" >&2
      status=1
    fi
  done < <(grep -n '# error: ' "$schema")
  if [[ $(grep -c . <<<"$errors") != $(grep -c '# error: ' "$schema") ]]; then status=1; fi
  ((status == 0)) || printf 'told was:\n%s\n' "$errors" >&2
  if compgen -G "$out/*.h" >/dev/null; then
    echo "$schema was refused, but code was written" >&2
    status=1
  fi
  return "$status"
}

case $what in
  golden)
    make_golden
    diff -u "$here/golden" "$out/golden" ||
      { echo "if this is what it should be: cmake --build BUILD --target update-golden" >&2; exit 1; }
    ;;
  update)
    make_golden
    mkdir -p "$here/golden"
    cp "$out"/golden/* "$here/golden"
    ;;
  refused)
    status=0
    for schema in "$here"/refused/*.capnp; do check_refused "$schema" || status=1; done
    exit "$status"
    ;;
  *) echo "no \"$what\"" >&2; exit 2 ;;
esac

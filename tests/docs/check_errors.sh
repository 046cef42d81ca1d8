#!/usr/bin/env bash
# check_errors.sh ROOT: what docs/errors.md explains are errors that there are, and that a test meets.
# The first cell of a row is a text, in which "…" stands for what differs. Each piece between is in
# the sources; and a test has a string that is part of a piece, or has all of one. Strings of one
# word or a few letters do not count.
set -euo pipefail

cd "$1"
page=docs/errors.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Strings that are written in parts are made one.
flat() { tr -s ' \n' ' ' | sed -e 's/" "//g'; }

mapfile -t sources < <(find runtime rpc membership actors sim/testing tools -name '*.cc' -o -name '*.h')
mapfile -t tests < <(find tests -name '*.cc' -o -name '*.h' -o -name '*_test.sh')
cat "${sources[@]}" | flat | sed 's/\\"/"/g' >"$work/sources"
cat "${tests[@]}" | flat | grep -oE '"([^"\\]|\\.)*"' | sed -e 's/^"//' -e 's/"$//' -e 's/\\"/"/g' >"$work/strings"
sed -n 's/.*# error: //p' tests/capnpc/refused/*.capnp >>"$work/strings"
grep -E '.{10}' "$work/strings" | grep -E '[^ ] [^ ]' | sort -u >"$work/expected"

# NUMBER PIECE each.
number=0
while IFS= read -r line; do
  number=$((number + 1))
  [[ $line == '| `'* ]] || continue
  text=${line#'| `'}
  text=${text%%'`'*}
  while IFS= read -r piece; do
    piece=${piece#"${piece%%[! ]*}"}
    piece=${piece%"${piece##*[! ]}"}
    [[ -z $piece ]] || echo "$number $piece"
  done <<<"${text//…/$'\n'}"
done <"$page" >"$work/pieces"
[[ -s $work/pieces ]] || { echo "$page has no errors" >&2; exit 1; }

status=0 met=" $(grep -F -f "$work/expected" "$work/pieces" | cut -d' ' -f1 | tr '\n' ' ')"
while IFS=' ' read -r number piece; do
  if ! grep -qF -- "$piece" "$work/sources"; then
    echo "$page:$number: not in the sources: $piece" >&2
    status=1
  fi
  if ((${#piece} >= 9)) && grep -qF -- "$piece" "$work/expected"; then met+="$number "; fi
done <"$work/pieces"
for number in $(cut -d' ' -f1 "$work/pieces" | uniq); do
  if [[ $met != *" $number "* ]]; then
    echo "$page:$number: in no test: $(sed -n "${number}p" "$page" | cut -d'`' -f2)" >&2
    status=1
  fi
done
exit "$status"

#!/usr/bin/env bash
# check_blocks.sh ROOT DOC...: code in the documents is code that is built. A block that begins with
# "```cpp samples/x/y.cc" must be in that file, as it stands; in docs/guide every block of C++,
# schema or CMake must name its file.
set -euo pipefail

root=$1
shift
status=0
for doc in "$@"; do
  block='' file='' inside=0 number=0
  while IFS= read -r line; do
    number=$((number + 1))
    if ((inside)) && [[ $line == '```' ]]; then
      inside=0
      if [[ -n $file && $(<"$root/$file") != *"${block%$'\n'}"* ]]; then
        echo "$doc:$number: the block above is not in $file" >&2
        status=1
      fi
    elif ((inside)); then
      block+=$line$'\n'
    elif [[ $line == '```'* ]]; then
      inside=1 block='' file=''
      read -r language file <<<"${line#'```'}" || true
      if [[ -z $file && $doc == docs/guide/* && $language =~ ^(cpp|capnp|cmake)$ ]]; then
        echo "$doc:$number: names no file" >&2
        status=1
      fi
    fi
  done <"$root/$doc"
done
exit "$status"

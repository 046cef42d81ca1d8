#!/usr/bin/env bash
# chat_test.sh TROUPE NODE CHAT: two guests of a room see all that both say, in the same order, though
# each node is killed in turn meanwhile.
set -euo pipefail

command=$1 program=$2 chat=$3
work=$(mktemp -d)
port=$((30000 + $$ % 2000))
seeds=127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2)),127.0.0.1:$((port + 3))
declare -A pids
guests=()
end() {
  kill -9 "${pids[@]}" "${guests[@]}" || true
  wait
  rm -rf "$work"
}
trap 'end 2>/dev/null' EXIT
trap 'tail -n 20 "$work"/* >&2' ERR

start() {
  "$program" --name "$1" --listen "127.0.0.1:$((port + ${1#n}))" --join "$seeds" --expect 3 \
    --data-dir "$work/data-$1" >>"$work/$1.log" 2>&1 3>&- 4>&- &
  pids[$1]=$!
}
until_true() { for _ in {1..600}; do "$@" && return; sleep 0.05; done; return 1; }
whole() { "$command" status --nodes "$seeds" --json | grep -q '"healthy":true,"nodes_up":3,'; }
joined() { grep -q '^in lobby' "$work/$1.log"; }
heard() { (($(wc -l <"$work/$1.seen") >= $2)); }

for node in n1 n2 n3; do start "$node"; done
until_true whole
for guest in ann bob; do
  mkfifo "$work/$guest"
  "$chat" lobby "$guest" ${seeds//,/ } <"$work/$guest" >"$work/$guest.seen" 2>"$work/$guest.log" &
  guests+=($!)
done
exec 3>"$work/ann" 4>"$work/bob"
until_true joined ann  # What was said before, they are not told.
until_true joined bob

said=0
for node in n1 n2 n3; do
  for i in 1 2 3 4 5; do
    echo "$node $i" >&3
    echo "$node $i" >&4
    said=$((said + 2))
    if ((i == 3)); then
      kill -9 "${pids[$node]}"
      wait "${pids[$node]}" 2>/dev/null || true
    fi
  done
  until_true heard ann "$said"
  until_true heard bob "$said"
  start "$node"
  until_true whole
done
exec 3>&- 4>&-
wait "${guests[@]}"
cmp "$work/ann.seen" "$work/bob.seen"
for guest in ann bob; do
  diff <(for node in n1 n2 n3; do for i in 1 2 3 4 5; do echo "$guest: $node $i"; done; done) \
    <(grep "^$guest: " "$work/ann.seen")
done
echo "$said lines, seen by both in one order, through three kills"

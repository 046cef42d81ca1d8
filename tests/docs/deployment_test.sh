#!/usr/bin/env bash
# deployment_test.sh TROUPE PROGRAM CALLER: what docs/guide/deployment.md says of three nodes, done:
# they are replaced one after the other while calls go on, and none fails.
set -euo pipefail

command=$1 program=$2 caller=$3
troupe() { "$command" "$@"; }
work=$(mktemp -d)
port=$((20000 + $$ % 10000))
seeds=127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2)),127.0.0.1:$((port + 3))
declare -A pids
end() {
  kill -9 "${pids[@]}" || true
  wait
  rm -rf "$work"
}
trap 'end 2>/dev/null' EXIT

start() {
  "$program" --name "$1" --listen "127.0.0.1:$((port + ${1#n}))" --join "$seeds" --expect 3 \
    --data-dir "$work/$1" >>"$work/$1.log" 2>&1 &
  pids[$1]=$!
}
stop() {
  kill -TERM "${pids[$1]}"
  wait "${pids[$1]}"
}
whole() { troupe status --nodes "$seeds" --json | grep -q '"healthy":true,"nodes_up":3,'; }
until_whole() { for _ in {1..300}; do whole && return; sleep 0.1; done; return 1; }
show_logs() { tail -n 20 "$work"/*.log >&2; }
trap 'show_logs' ERR

for node in n1 n2 n3; do start "$node"; done
until_whole

# Somebody counts all along: each call must show one more than the one before.
touch "$work/count"
{ while [[ -e $work/count ]]; do "$caller" ${seeds//,/ }; done; } >"$work/counted" 2>"$work/failed" &
counting=$!

for node in n1 n2 n3; do
  stop "$node"  # SIGTERM, and wait until it has ended.
  start "$node"
  until_whole
done

rm "$work/count"
wait "$counting"
if [[ -s $work/failed ]]; then
  cat "$work/failed" >&2
  exit 1
fi
lines=$(wc -l <"$work/counted")
if ((lines < 10)) || ! diff <(seq "$lines" | sed 's/^/Counter\/visits is /') "$work/counted"; then
  echo "deployment_test: $lines calls, of which some were lost, doubled or failed" >&2
  exit 1
fi
echo "three nodes were replaced; $lines calls, none lost"

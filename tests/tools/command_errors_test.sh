#!/usr/bin/env bash
# command_errors_test.sh TROUPE NODE: what `troupe` and a node say of what they cannot do, and with
# which exit code: 2 for what was typed, 1 for what was refused (docs/errors.md).
set -euo pipefail

troupe=$1 program=$2
work=$(mktemp -d)
cd "$work"
node=
trap '[[ -z $node ]] || kill -9 "$node" 2>/dev/null; rm -rf "$work"' EXIT

fail() { echo "$*" >&2; exit 1; }
# refused CODE TEXT COMMAND...
refused() {
  local code=$1 text=$2 said ended=0
  shift 2
  said=$("$@" 2>&1 </dev/null) || ended=$?
  [[ $said == *"$text"* && $ended == "$code" ]] ||
    fail "expected \"$text\" and $code of: $* got $ended and: $said"
}

refused 2 "no command \"stats\"" "$troupe" stats
refused 2 "unknown flag --node; the nearest known is --nodes" "$troupe" status --node a:1
refused 2 ": expected host:port, got \"a\"" "$troupe" status --nodes a
refused 2 ": expected a value after it" "$troupe" status --nodes
refused 2 "resume: expected TYPE/KEY, as" "$troupe" resume
refused 2 ": expected a shard's number or a flag, got" "$troupe" recover all
refused 2 "declare-lost: expected the numbers of shards" "$troupe" declare-lost
refused 2 "recover --node is about the register: name no shards" "$troupe" recover 1 --node a:1
refused 2 "; add --yes if that is meant" "$troupe" recover
refused 1 "no node answers at" "$troupe" recover --yes --nodes 127.0.0.1:1

# start EVENT FLAG...: a node at a port that is free, until its log has EVENT; its address is in `at`.
start() {
  local event=$1
  shift
  : >log  # The node may not have opened it when it is first read.
  "$program" --name one --cluster errors --listen 127.0.0.1:0 "$@" 2>>log &
  node=$!
  for ((i = 0; i < 600; ++i)); do
    address=$(sed -n "s/.* $event .*address=\\([0-9.:]*\\).*/\\1/p" log)
    [[ -z $address ]] || break
    kill -0 "$node" || fail "the node ended: $(<log)"
    sleep 0.1
  done
  [[ -n $address ]] || fail "there is no \"$event\": $(<log)"
  at=(--cluster errors --nodes "$address")
}
stop() {
  kill -9 "$node"
  wait "$node" 2>/dev/null || true
  node=
}

start listening --join 127.0.0.1:1 --expect 2
refused 1 "this node has no map: it is in no cluster yet" "$troupe" recover --yes "${at[@]}"
stop

mkdir data
start ready --data-dir data

refused 1 "no node hosts actors of type Nobody; hosted are: Greeter" "$troupe" resume Nobody/x "${at[@]}"
refused 1 "is not suspended" "$troupe" resume Greeter/x "${at[@]}"
refused 1 "no shard is LOST: there is nothing to recover" "$troupe" recover --yes "${at[@]}"
refused 1 "there is no shard 999" "$troupe" recover 999 --yes "${at[@]}"
refused 1 "is not LOST, it is served by a primary" "$troupe" recover 1 --yes "${at[@]}"
refused 1 "; only one without a primary can be declared lost" "$troupe" declare-lost 1 --yes "${at[@]}"
refused 1 "the register needs no recovery" "$troupe" recover --node "$address" --cluster errors --yes

refused 1 "; another program has this port: choose another with --listen" \
  "$program" --name two --listen "$address"
refused 1 "is in use by another process" "$program" --name one --listen 127.0.0.1:0 --data-dir data

stop
refused 1 "start it as one, or on an empty directory (setting data-dir)" \
  "$program" --name two --listen 127.0.0.1:0 --data-dir data

# What a node says of its settings; where they are from comes behind it.
refused 2 "cannot read no.toml: No such file or directory (flag --config)" "$program" --config no.toml
head -c 1100000 /dev/zero | tr '\0' '#' >large.toml
refused 2 "config: expected at most 1048576 bytes in large.toml" "$program" --config large.toml
echo short >keys
refused 2 "bytes in base64, got 5 characters that are not (setting gossip-key-file)" \
  "$program" --gossip-key-file keys
refused 1 "create data directory no/such: No such file or directory (setting data-dir)" \
  "$program" --name one --data-dir no/such
refused 1 "listen on 192.0.2.1:7100: " "$program" --listen 192.0.2.1:7100 --insecure
printf x | dd of=data/identity bs=1 seek=40 conv=notrunc status=none
refused 1 ": the checksum does not match the contents" \
  "$program" --name one --listen 127.0.0.1:0 --data-dir data
echo short >data/identity
refused 1 "data/identity does not begin as a record does" \
  "$program" --name one --listen 127.0.0.1:0 --data-dir data

// bench peer: the servers of the peers that troupe is measured beside.
#include <cstdio>
#include <string_view>

#include "echo_peer.h"

int main(int argc, char** argv) {
  const std::string_view kind = argc == 2 ? argv[1] : "";
  if (kind == "capnp") return ServeCapnpEcho();
  if (kind == "libuv") return ServeLibuvEcho();
  std::fputs("usage: troupe-bench-peer capnp|libuv\n", stderr);
  return 2;
}

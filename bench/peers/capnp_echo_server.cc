#include <cstdio>

#include "bench.capnp.h"
#include "capnp/rpc-twoparty.h"
#include "echo_peer.h"
#include "kj/async-io.h"

namespace {

class PlainEcho final : public Echo::Server {
  kj::Promise<void> echo(EchoContext call) override {
    auto data = call.getParams().getData();
    call.getResults(capnp::MessageSize{data.size() / 8 + 8, 0}).setData(data);
    return kj::READY_NOW;
  }
};

}  // namespace

int ServeCapnpEcho() {
  auto io = kj::setupAsyncIo();
  auto address = io.provider->getNetwork().parseAddress("127.0.0.1:0").wait(io.waitScope);
  auto listener = address->listen();
  capnp::TwoPartyServer server(kj::heap<PlainEcho>());
  std::printf("%u\n", listener->getPort());
  std::fflush(stdout);
  server.listen(*listener).wait(io.waitScope);
  return 0;
}

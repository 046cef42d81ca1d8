// Plain Cap'n Proto RPC over KJ's own event loop.
#include "capnp/rpc-twoparty.h"
#include "kj/async-io.h"
#include "typed_echo.h"

namespace {

class PlainCapnpEcho final : public EchoPeer {
 public:
  explicit PlainCapnpEcho(int port) : port_(port) {}

  double Measure(const EchoShape& shape, double seconds) override {
    auto io = kj::setupAsyncIo();
    auto address = io.provider->getNetwork()
                       .parseAddress("127.0.0.1", static_cast<unsigned>(port_))
                       .wait(io.waitScope);
    auto stream = address->connect().wait(io.waitScope);
    capnp::TwoPartyClient client(*stream);
    auto echo = client.bootstrap().castAs<Echo>();
    const size_t bytes = shape.bytes;
    return MeasureCalls(
        [&echo, bytes](uint64_t sequence) {
          return CallEcho(echo.echoRequest(EchoSize(bytes)), sequence, bytes);
        },
        shape, io.waitScope, seconds);
  }

 private:
  const int port_;
};

}  // namespace

std::unique_ptr<EchoPeer> CapnpEcho(int port) { return std::make_unique<PlainCapnpEcho>(port); }

// An actor of a one-node cluster, called by a troupe::Client.
#include "absl/strings/str_cat.h"
#include "troupe/actors/client.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/uv_machine.h"
#include "typed_echo.h"

namespace {

constexpr absl::Duration kConnectLimit = absl::Seconds(10);

class ActorEcho final : public EchoPeer {
 public:
  ActorEcho(std::string address, TroupeMethod method)
      : address_(std::move(address)), method_(method) {}

  double Measure(const EchoShape& shape, double seconds) override {
    auto machine = troupe::UvMachine::Create({.node = "bench"});
    KJ_REQUIRE(machine.ok(), machine.status().ToString().c_str());
    auto& scope = (*machine)->wait_scope();
    troupe::Client client((*machine)->control(), {.nodes = {address_}, .name = "bench"});
    client.Connected(kConnectLimit).wait(scope);
    // An actor keeps the answers of clients that have gone for a while, and only so many.
    auto echo = client.Get<Echo>(absl::StrCat("echo-", ++measurements_));
    const size_t bytes = shape.bytes;
    auto call = [this, &echo, bytes](uint64_t sequence) {
      return method_ == TroupeMethod::kReadOnly
                 ? CallEcho(echo.echoRequest(EchoSize(bytes)), sequence, bytes)
                 : CallEcho(echo.recordRequest(EchoSize(bytes)), sequence, bytes);
    };
    return MeasureCalls(call, shape, scope, seconds);
  }

 private:
  const std::string address_;
  const TroupeMethod method_;
  int measurements_ = 0;
};

}  // namespace

std::unique_ptr<EchoPeer> TroupeEcho(std::string address, TroupeMethod method) {
  return std::make_unique<ActorEcho>(std::move(address), method);
}

#include "troupe/actors/gateway.h"

#include "absl/strings/str_join.h"
#include "capnp/rpc-twoparty.h"
#include "troupe/actors/gateway.capnp.h"
#include "troupe/actors/ref.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr size_t kUnansweredBytesMax = 16 << 20;  // Of one client's calls; then it is not read.

class NodeServer final : public gateway::Node::Server {
 public:
  NodeServer(kj::Own<CallOrigin> origin, const Registry& registry)
      : origin_(kj::mv(origin)), registry_(registry) {}

  kj::Promise<void> actor(ActorContext call) override {
    const uint64_t type = call.getParams().getType();
    const auto key = call.getParams().getKey();
    if (registry_.Find(type) == nullptr) {
      return Unimplemented(
          absl::StrCat("no actor type with id ", absl::Hex(type),
                       " is hosted here; hosted are: ", absl::StrJoin(registry_.names(), ", ")));
    }
    if (key.size() > kKeyBytesMax) {
      return Failed(absl::StrCat("the key has ", key.size(), " bytes; at most ", kKeyBytesMax,
                                 " are allowed"));
    }
    ActorId id{type, std::string(reinterpret_cast<const char*>(key.begin()), key.size())};
    call.getResults().setActor(ReferTo(kj::addRef(*origin_), std::move(id), CallOptions()));
    return kj::READY_NOW;
  }

  kj::Promise<void> types(TypesContext call) override {
    const auto names = registry_.names();
    auto out = call.getResults().initNames(static_cast<unsigned>(names.size()));
    for (unsigned i = 0; i < out.size(); ++i) {
      out.set(i, kj::StringPtr(names[i].c_str(), names[i].size()));
    }
    return kj::READY_NOW;
  }

 private:
  kj::Own<CallOrigin> origin_;
  const Registry& registry_;
};

}  // namespace

kj::Promise<void> ServeGateway(kj::Own<kj::AsyncIoStream> stream, kj::Own<CallOrigin> origin,
                               const Registry& registry) {
  auto network = kj::heap<capnp::TwoPartyVatNetwork>(*stream, capnp::rpc::twoparty::Side::SERVER);
  auto system = kj::heap(capnp::makeRpcServer(
      *network, capnp::Capability::Client(kj::heap<NodeServer>(kj::mv(origin), registry))));
  system->setFlowLimit(kUnansweredBytesMax);
  auto gone = network->onDisconnect();
  return gone.attach(kj::mv(system), kj::mv(network), kj::mv(stream));
}

}  // namespace troupe

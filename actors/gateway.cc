#include "troupe/actors/gateway.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "capnp/rpc-twoparty.h"
#include "troupe/actors/gateway.capnp.h"
#include "troupe/actors/ref.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr auto kRefusalTime = 1 * kj::SECONDS;
constexpr size_t kUnansweredBytesMax = 16 << 20;  // Of one client's calls; then it is not read.

class NodeServer final : public gateway::Node::Server {
 public:
  NodeServer(kj::Own<CallOrigin> origin, kj::Function<SharedMap()> map)
      : origin_(kj::mv(origin)), map_(kj::mv(map)) {}

  kj::Promise<void> actor(ActorContext call) override {
    const uint64_t type = call.getParams().getType();
    const auto key = call.getParams().getKey();
    const SharedMap map = map_();
    if (map == nullptr || map->FindType(type) == nullptr) {
      return Unimplemented(
          absl::StrCat("no actor type with id ", absl::Hex(type),
                       " is hosted by any node; hosted are: ", absl::StrJoin(Names(map), ", ")));
    }
    if (key.size() > kKeyBytesMax) {
      return Failed(absl::StrCat("the key has ", key.size(), " bytes; at most ", kKeyBytesMax,
                                 " are allowed"));
    }
    ActorId id{type, UserKey({reinterpret_cast<const char*>(key.begin()), key.size()})};
    call.getResults().setActor(ReferTo(kj::addRef(*origin_), std::move(id), CallOptions()));
    return kj::READY_NOW;
  }

  kj::Promise<void> types(TypesContext call) override {
    const auto names = Names(map_());
    auto out = call.getResults().initNames(static_cast<unsigned>(names.size()));
    for (unsigned i = 0; i < out.size(); ++i) {
      out.set(i, kj::StringPtr(names[i].c_str(), names[i].size()));
    }
    return kj::READY_NOW;
  }

 private:
  static std::vector<std::string> Names(const SharedMap& map) {
    std::vector<std::string> names;
    if (map != nullptr) {
      for (const HostedType& type : map->types) names.push_back(type.name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  kj::Own<CallOrigin> origin_;
  kj::Function<SharedMap()> map_;
};

}  // namespace

namespace {

kj::Promise<void> Serve(kj::Own<kj::AsyncIoStream> stream, capnp::Capability::Client bootstrap,
                        kj::Promise<void> end) {
  auto network = kj::heap<capnp::TwoPartyVatNetwork>(*stream, capnp::rpc::twoparty::Side::SERVER);
  auto system = kj::heap(capnp::makeRpcServer(*network, kj::mv(bootstrap)));
  system->setFlowLimit(kUnansweredBytesMax);
  auto gone = network->onDisconnect().exclusiveJoin(kj::mv(end));
  // One by one: together they would be destroyed in the reverse order.
  return gone.attach(kj::mv(system)).attach(kj::mv(network)).attach(kj::mv(stream));
}

// In the place of a NodeServer.
class FullServer final : public gateway::Node::Server {
 public:
  explicit FullServer(std::string reason) : reason_(std::move(reason)) {}
  kj::Promise<void> actor(ActorContext) override { return Overloaded(reason_); }
  kj::Promise<void> types(TypesContext) override { return Overloaded(reason_); }

 private:
  const std::string reason_;
};

}  // namespace

kj::Promise<void> ServeGateway(kj::Own<kj::AsyncIoStream> stream, kj::Own<CallOrigin> origin,
                               kj::Function<SharedMap()> map) {
  return Serve(kj::mv(stream), kj::heap<NodeServer>(kj::mv(origin), kj::mv(map)), kj::NEVER_DONE);
}

kj::Promise<void> RefuseGateway(kj::Own<kj::AsyncIoStream> stream, kj::Timer& timer,
                                std::string reason) {
  return Serve(kj::mv(stream), kj::heap<FullServer>(std::move(reason)),
               timer.afterDelay(kRefusalTime));
}

}  // namespace troupe

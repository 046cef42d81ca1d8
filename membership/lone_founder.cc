#include "troupe/membership/lone_founder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kAskLimit = absl::Seconds(2);
constexpr absl::Duration kAskAgain = absl::Seconds(2);

auto CountUp(const ClusterState& map) {
  return std::count_if(map.nodes.begin(), map.nodes.end(),
                       [](const NodeEntry& node) { return node.state == NodeState::kUp; });
}

}  // namespace

LoneFounder::LoneFounder(Self& self, ControlLinks& links, MapStore& maps, Owner& owner)
    : self_(self), links_(links), maps_(maps), owner_(owner), tasks_(*this) {}

void LoneFounder::taskFailed(kj::Exception&& exception) {
  self_.log().Error("asking another cluster failed", {{"error", Words(exception)}});
}

bool LoneFounder::IsAlone() const {
  const SharedMap& map = maps_.map();
  return map != nullptr && map->nodes.size() == 1 && map->nodes.front().name == self_.name();
}

void LoneFounder::OnHello(const Introduction& theirs) {
  if (theirs.cluster.IsZero() || theirs.cluster == self_.cluster || theirs.boot == 0) return;
  if (theirs.role != Role::kNode || theirs.cluster_name != self_.options.cluster_name) return;
  if (!theirs.target.empty() && theirs.target != self_.name()) return;  // Lists another node here.
  if (!IsAlone() || asking_ || self_.Now() < not_before_ || theirs.address.empty()) return;
  asking_ = true;
  not_before_ = self_.Now() + kAskAgain;
  auto message = kj::heap<capnp::MallocMessageBuilder>();
  message->initRoot<control::MapPull>().setNumber(links_.NextNumber());
  Introduction stranger = self_.Introduce();  // As one that would join: of no cluster.
  stranger.cluster = {};
  stranger.generation = 0;
  stranger.boot = 0;
  stranger.map_version = 0;
  auto asked = links_.CallAddress(theirs.address, control::KIND_MAP_PULL, kj::mv(message),
                                  kAskLimit, std::move(stranger));
  tasks_.add(asked.then([this, cluster = theirs.cluster](ControlLinks::Visit&& visit) {
    asking_ = false;
    if (visit.answer.get() == nullptr || !IsAlone()) return;
    auto data = visit.answer->header<control::MapAnswer>().getBytes();
    auto map = DecodeClusterState({reinterpret_cast<const std::byte*>(data.begin()), data.size()});
    if (map.ok() && map->cluster == cluster) OnTheirMap(*map);
  }));
}

void LoneFounder::OnTheirMap(const ClusterState& theirs) {
  const auto up = CountUp(theirs);
  const bool meant = up > 1 || (up == 1 && theirs.cluster < maps_.map()->cluster);
  if (!meant) return;
  std::vector<std::string> addresses;
  for (const NodeEntry& node : theirs.nodes) {
    const bool there = node.state == NodeState::kUp && node.name != self_.name();
    if (there && !node.addresses.empty()) addresses.push_back(node.addresses.front());
  }
  if (addresses.empty()) return;
  owner_.OnMeantCluster(absl::StrCat("this node founded a cluster alone, but cluster ",
                                     theirs.cluster.ToString(), " of ", up, " nodes lists it"),
                        std::move(addresses));
}

}  // namespace troupe

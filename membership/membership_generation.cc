// What follows from a newer generation of the register, and from another cluster that lists us.
#include <utility>

#include "troupe/membership/membership_impl.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

// Who refuses us as of an old generation may be about to tell us the map that has us in it.
constexpr absl::Duration kOutdatedPatience = absl::Seconds(5);

std::vector<std::string> AddressesOfOthers(const ClusterState& map, const std::string& name) {
  std::vector<std::string> out;
  for (const NodeEntry& node : map.nodes) {
    if (node.name != name && !node.addresses.empty()) out.push_back(node.addresses.front());
  }
  return out;
}

}  // namespace

void Membership::Impl::OnRecovered(const ValuePtr& value) {
  const SharedMap before = maps.map();
  auto adopted = maps.Adopt(value);
  if (!adopted.ok() || !*adopted) return;
  spread.TellAll();
  Taken(before);
}

void Membership::Impl::TakenGeneration() {
  const ClusterState& map = *maps.map();
  outdated_since_ = absl::InfiniteFuture();
  self.log().Warning("the register goes on in a new generation",
                     {{"generation", map.generation}, {"version", map.version}});
  if (self.boot == 0 || self.leaving) return;  // Not registered yet: that goes on.
  const NodeEntry* entry = map.FindNode(self.name());
  const bool stays =
      entry != nullptr && entry->boot == self.boot && entry->state != NodeState::kLeft;
  if (stays) return;
  CastOut({Outcast::Kind::kPutOut,
           "the register was recovered without this process, which was taken for lost",
           AddressesOfOthers(map, self.name())});
}

void Membership::Impl::CastOut(Outcast outcast) {
  if (cast_out_) return;
  cast_out_ = true;
  self.log().Error("this process has to join anew", {{"reason", outcast.why}});
  watcher.OnOutcast(outcast);
}

void Membership::Impl::OnUnfit(const std::string& why) {
  if (self.leaving || unfit_) return;
  unfit_ = true;
  watcher.OnUnfit(why);
}

void Membership::Impl::OnOutdated(const std::string& detail) {
  if (self.leaving || maps.map() == nullptr) return;
  if (outdated_since_ == absl::InfiniteFuture()) outdated_since_ = self.Now();
  if (self.Now() - outdated_since_ < kOutdatedPatience) return;
  CastOut({Outcast::Kind::kPutOut, detail, AddressesOfOthers(*maps.map(), self.name())});
}

void Membership::Impl::OnMeantCluster(const std::string& why, std::vector<std::string> addresses) {
  if (self.leaving || cast_out_) return;
  watcher.OnOutcast({Outcast::Kind::kAlone, why, std::move(addresses)});
}

kj::Promise<void> Membership::ForgetCluster(Machine& machine) {
  auto* directory = machine.data_directory();
  if (directory == nullptr) return kj::READY_NOW;
  return directory->Write("map", {}).then([directory] { return directory->Write("acceptor", {}); });
}

}  // namespace troupe

#include "troupe/membership/membership_impl.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr char kMapRecord[] = "map";
constexpr absl::Duration kLinksLook = absl::Seconds(1);

auto CountUp(const ClusterState& map) {
  return std::count_if(map.nodes.begin(), map.nodes.end(),
                       [](const NodeEntry& node) { return node.state == NodeState::kUp; });
}

bool IsAnyHost(const std::string& address) {
  return address.rfind("0.0.0.0:", 0) == 0 || address.rfind("[::]:", 0) == 0;
}

}  // namespace

Membership::Impl::Impl(Machine& machine, MembershipOptions options, Membership::Watcher& w)
    : self(machine, std::move(options)),
      watcher(w),
      links(self, static_cast<ControlLinks::Watcher&>(*this)),
      gossip(self, links, static_cast<GossipShell::Owner&>(*this)),
      shell(self, links, maps, static_cast<RegisterShell::Owner&>(*this)),
      registrar(self, maps, shell, [this](const std::string& why) { OnUnfit(why); }),
      founding(self, links, maps, shell, static_cast<Founding::Owner&>(*this)),
      spread(self, links, maps, static_cast<MapSpread::Owner&>(*this)),
      evidence(self, links, gossip, maps, shell, static_cast<EvidenceShell::Owner&>(*this)),
      comeback(self, links, maps, shell, [this](const std::string& why) { OnUnfit(why); }),
      seeds(self,
            [this](std::vector<std::string> addresses) {
              gossip.Tell([&](Swim& swim, absl::Time now, SwimActions&) {
                swim.Join(now, std::move(addresses));
              });
              founding.OnNewView();
            }),
      desk(self, links, maps, shell, static_cast<OperatorDesk::Owner&>(*this)),
      lone(self, links, maps, static_cast<LoneFounder::Owner&>(*this)),
      repair_alarm_(self.host, [this] { Repair(); }),
      links_alarm_(self.host,
                   [this] {
                     WantLinks();
                     UpdateOrder();
                     links_alarm_.Set(self.Now() + kLinksLook);
                   }),
      tasks_(*this) {
  self.nonce = self.host.RandomId();
}

void Membership::Impl::taskFailed(kj::Exception&& exception) {
  self.log().Error("membership task failed", {{"error", Words(exception)}});
}

// ---- Start

absl::Status Membership::Impl::CheckOptions(const std::string& bound) const {
  const MembershipOptions& options = self.options;
  if (absl::Status s = CheckTypes(options.node, options.types); !s.ok()) return s;
  if (options.expect == 0) return absl::InvalidArgumentError("--expect must be at least 1");
  if (options.expect > 1 && !options.joins_only &&
      2 * size_t{options.expect} <= options.seeds.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--expect must exceed half the seeds, or two clusters could be founded: "
                     "expected more than ",
                     options.seeds.size() / 2, ", got ", options.expect));
  }
  if (IsAnyHost(self.address) && !(options.seeds.empty() && options.expect == 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "others cannot dial ", bound, ": give --advertise, or an address in --listen"));
  }
  return absl::OkStatus();
}

absl::Status Membership::Impl::LoadMap() {
  auto* directory = self.machine.data_directory();
  if (directory == nullptr) return absl::OkStatus();
  auto record = directory->Read(kMapRecord);
  if (!record.ok()) return record.status();
  if (record->has_value() && !(*record)->empty()) {
    auto value = ValueOf(**record);
    absl::Status adopted = value.status();
    if (value.ok()) adopted = maps.Adopt(*value).status();
    if (!adopted.ok()) {
      return absl::DataLossError(
          absl::StrCat("record \"map\" of the data directory: ", std::string(adopted.message())));
    }
  }
  const AcceptorState& kept = shell.acceptor();
  if (kept.chosen != nullptr && kept.chosen->version > maps.version()) {
    return maps.Adopt(kept.chosen).status();
  }
  // Of its own accord a voter accepts a newer generation only as the founder and sole voter of it:
  // that is chosen. It died before the map was on the disk.
  const bool founded = kept.value != nullptr && maps.map() != nullptr &&
                       kept.generation > maps.map()->generation &&
                       kept.value->voters == std::vector{self.voter()};
  return founded ? maps.Adopt(kept.value).status() : absl::OkStatus();
}

absl::Status Membership::Impl::Start(const std::string& bound) {
  self.address = self.options.advertise.empty() ? bound : self.options.advertise;
  absl::Status status = CheckOptions(bound);
  if (status.ok()) status = registrar.Load();
  if (status.ok()) status = shell.Load();
  if (status.ok()) status = LoadMap();
  if (!status.ok()) return status;
  if (maps.map() != nullptr) {
    self.cluster = maps.map()->cluster;
    self.generation = maps.map()->generation;
    self.map_version = maps.version();
  }
  status = gossip.Start(bound, Founding::Metadata(self.options.expect));
  if (!status.ok()) return status;
  tasks_.add(registrar.Prepare().then([this] { Begin(); }));
  return absl::OkStatus();
}

void Membership::Impl::Begin() {
  std::vector<std::string> known;
  if (maps.map() != nullptr) {
    for (const NodeEntry& node : maps.map()->nodes) {
      if (node.name != self.name() && !node.addresses.empty()) {
        known.push_back(node.addresses.front());
      }
    }
    self.log().Info("the data directory knows a cluster",
                    {{"cluster", self.cluster.ToString()}, {"version", maps.version()}});
  }
  seeds.Start(std::move(known));
  links_alarm_.Set(self.Now() + kLinksLook);
  if (maps.map() != nullptr) {
    Taken(nullptr);
  } else {
    founding.Start();
  }
}

// ---- Maps

void Membership::Impl::OnFounded(const ValuePtr& value) {
  if (maps.map() != nullptr) return;
  const SharedMap before = maps.map();
  if (!maps.Adopt(value).ok()) return;
  self.log().Info("cluster founded", {{"cluster", maps.map()->cluster.ToString()},
                                      {"nodes", maps.map()->nodes.size()}});
  Taken(before);
  spread.TellAll();
}

void Membership::Impl::OnChosen(const ClusterState& chosen) {
  const SharedMap before = maps.map();
  auto adopted = maps.Adopt(ValueOf(chosen));
  if (!adopted.ok() || !*adopted) return;
  spread.TellAll();
  Taken(before);
}

void Membership::Impl::TakeNews(uint64_t base, std::span<const std::byte> bytes) {
  const SharedMap before = maps.map();
  if (before == nullptr && founding.bound()) {
    // Only what it is bound to; it learns of the rest by asking.
    auto state = DecodeClusterState(bytes);
    if (!state.ok() || !founding.IsBoundTo(state->cluster)) return;
  }
  auto adopted = maps.Adopt(base, bytes);
  if (!adopted.ok()) {
    self.log().Warning("map not taken", {{"reason", std::string(adopted.status().message())}});
  } else if (*adopted) {
    Taken(before);
  }
}

// Everything that follows from a newer map, parts first, then the watcher.
void Membership::Impl::Taken(const SharedMap& before) {
  const SharedMap map = maps.map();
  self.cluster = map->cluster;
  self.generation = map->generation;
  self.map_version = map->version;
  if (before != nullptr && map->generation > before->generation) TakenGeneration();
  gossip.Tell([&](Swim& swim, absl::Time now, SwimActions&) {
    swim.SetCluster(map->cluster);
    const bool votes = std::count(map->voters.begin(), map->voters.end(), self.voter()) > 0;
    swim.SetMapVersion(now, map->version,
                       votes ? Swim::MapNews::kAnnounce : Swim::MapNews::kInHeaders);
  });
  SayWhatChanged(before);
  Store();
  spread.OnNewMap();
  evidence.OnNewMap();
  WantLinks();
  if (before != nullptr) links.VoidReplaced(*before, *map);
  shell.OnNewMap();
  UpdateOrder();
  RepairSoon();
  if (registrar.OnNewMap()) {
    seeds.Stop();
    gossip.Tell([this](Swim& swim, absl::Time now, SwimActions&) { swim.SetBoot(now, self.boot); });
    watcher.OnRegistered(self.boot);
  }
  comeback.OnNewMap();  // Also when the first map that has this process has it FENCED already.
  // Else a newer one was told meanwhile, or this one while the disk was still being prepared.
  if (map == maps.map() && map != std::exchange(told_, map)) watcher.OnMap(map);
}

void Membership::Impl::SayWhatChanged(const SharedMap& before) const {
  for (const NodeEntry& node : maps.map()->nodes) {
    const NodeEntry* old = before == nullptr ? nullptr : before->FindNode(node.name);
    if (old != nullptr && old->boot == node.boot && old->state == node.state) continue;
    self.log().Info("node is now", {{"name", node.name},
                                    {"boot", node.boot},
                                    {"state", Name(node.state)},
                                    {"version", maps.version()}});
  }
  if (CountUp(*maps.map()) == 2 && (before == nullptr || CountUp(*before) == 1)) {
    self.log().Info(
        "two nodes survive only the loss of the one that does not vote; three are safe");
  }
  if (before == nullptr || before->voters != maps.map()->voters) {
    self.log().Info(
        "voters",
        {{"names", absl::StrJoin(maps.map()->voters, ",", [](std::string* out, const VoterId& v) {
            absl::StrAppend(out, v.node);
          })}});
  }
}

// The last map, for the next start; one write at a time.
void Membership::Impl::Store() {
  auto* directory = self.machine.data_directory();
  if (directory == nullptr) return;
  store_again_ = storing_;
  if (storing_) return;
  storing_ = true;
  tasks_.add(directory->Write(kMapRecord, maps.value()->contents)
                 .catch_([this](kj::Exception&& e) {
                   self.log().Warning("the map is not on disk", {{"error", Words(e)}});
                 })
                 .then([this] {
                   storing_ = false;
                   if (store_again_) Store();
                 }));
}

void Membership::Impl::NeedMap(const std::string& node, uint64_t version) {
  spread.Heard(node, version, MapSpread::Patience::kAMoment);
}

}  // namespace troupe

#include "troupe/membership/seeds.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/alarm.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kResolveMin = absl::Milliseconds(500);
constexpr absl::Duration kResolveMax = absl::Seconds(30);
constexpr absl::Duration kSayMin = absl::Seconds(2);
constexpr absl::Duration kSayMax = absl::Minutes(5);
constexpr size_t kAddressesMax = 256;

}  // namespace

Seeds::Seeds(Self& self, kj::Function<void(std::vector<std::string>)> changed)
    : self_(self), changed_(kj::mv(changed)), tasks_(*this) {}

void Seeds::taskFailed(kj::Exception&& exception) {
  self_.log().Error("resolving seeds failed", {{"error", Words(exception)}});
}

void Seeds::Start(std::vector<std::string> extra) {
  for (std::string& address : extra) {
    if (address != self_.address) addresses_.insert(std::move(address));
  }
  for (const std::string& seed : self_.options.seeds) {
    if (seed == self_.address) continue;
    unresolved_.insert(seed);
    tasks_.add(Resolve(seed, kResolveMin));
  }
  changed_({addresses_.begin(), addresses_.end()});
}

kj::Promise<void> Seeds::Resolve(std::string seed, absl::Duration again_in) {
  if (stopped_) return kj::READY_NOW;
  auto resolved = self_.host.network().Resolve(seed);
  return resolved.then([this, seed, again_in](std::vector<std::string>&& addresses) {
    if (addresses.empty()) Say(seed, "the name has no address now");
    const size_t before = addresses_.size();
    for (std::string& address : addresses) {
      if (address == self_.address || ourselves_.contains(address)) continue;
      if (addresses_.size() < kAddressesMax) addresses_.insert(std::move(address));
    }
    if (!addresses.empty()) unresolved_.erase(seed);
    if (addresses_.size() != before || !addresses.empty()) {
      changed_({addresses_.begin(), addresses_.end()});
    }
    // A name may stand for others later.
    const absl::Duration next = std::min(again_in * 2, kResolveMax);
    return self_.host.timer().afterDelay(KjWait(again_in)).then([this, seed, next] {
      return Resolve(seed, next);
    });
  });
}

void Seeds::OnProblem(const std::string& address, const ControlLinks::Visit& visit) {
  using Reason = wire::Refusal::Reason;
  const auto refused = visit.dialed.refused;
  if (refused && *refused == Reason::OWN_ADDRESS) {
    ourselves_.insert(address);
    if (addresses_.erase(address) == 0) return;
    self_.log().Info("a seed is this node itself", {{"seed", address}});
    return changed_({addresses_.begin(), addresses_.end()});
  }
  if (stopped_ && !refused) return;  // Gossip tells of lost members.
  Say(address, visit.problem);
}

void Seeds::Say(const std::string& seed, const std::string& text) {
  const absl::Time now = self_.Now();
  auto [at, fresh] = problems_.try_emplace(seed);
  Problem& problem = at->second;
  if (fresh || problem.text != text) {
    if (fresh) problem.wait = kSayMin;
  } else if (now < problem.say_at) {
    return;
  }
  problem.text = text;
  problem.say_at = now + problem.wait;
  problem.wait = std::min(problem.wait * 2, kSayMax);
  self_.log().Warning("seed not reached, tried again", {{"seed", seed}, {"reason", text}});
}

}  // namespace troupe

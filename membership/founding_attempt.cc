// Founding, part two: as the founder.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/founding.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/placement.h"

namespace troupe {
namespace {

namespace control = wire::control;

bool HostsNothing(const Founder& founder) { return founder.types.empty(); }

std::string WouldHostNothing(const std::vector<Founder>& founders) {
  const std::string who = absl::StrJoin(
      founders, ", ", [](std::string* out, const Founder& one) { absl::StrAppend(out, one.name); });
  return absl::StrCat("no cluster is founded: ", who, founders.size() > 1 ? " host" : " hosts",
                      " no types, so nobody could hold a shard; found it with a node that ",
                      "does, or have this one join (--join)");
}

}  // namespace

// One ballot for one value: the cluster id is as unique as a process's nonce.
Ballot Founding::BallotOf(const std::string& founder, const Id128& cluster) {
  return {1, founder, cluster};
}

void Founding::FoundAlone() {
  if (alone_under_way_) return;
  alone_under_way_ = true;
  const std::vector<Founder> founders = {self_.AsFounder()};
  if (HostsNothing(founders.front())) return owner_.OnUnfit(WouldHostNothing(founders));
  ClusterState nobody;
  nobody.config = self_.options.config;
  absl::Status fits = CheckStorage(self_.name(), self_.options.types, self_.storage);
  if (fits.ok()) fits = CheckFits(nobody, self_.name(), self_.options.types);
  if (!fits.ok()) return owner_.OnUnfit(std::string(fits.message()));
  Accepted(ValueOf(Found(self_.host.RandomId(), self_.options.config, founders)));
}

// The last acceptance: our own.
void Founding::Accepted(ValuePtr value) {
  auto state = StateOf(*value);
  auto accepted = shell_.AcceptFounding(BallotOf(self_.name(), state->cluster), value);
  tasks_.add(accepted.then([this, value](bool accepted) {
    if (!accepted) {
      self_.log().Error("the founding value was not accepted here");
      attempt_.reset();
      alone_under_way_ = false;
      return;
    }
    owner_.OnFounded(value);
  }));
}

void Founding::BeginAttempt(const std::vector<Member>& seen) {
  attempt_ = Attempt();
  attempt_->number = ++attempts_;
  for (const Member& member : seen) {
    if (member.id.name != self_.name()) attempt_->others.push_back(member.id.name);
  }
  attempt_->candidates = {self_.AsFounder()};
  self_.log().Info("founding a cluster", {{"with", absl::StrJoin(attempt_->others, ",")}});
  for (const std::string& node : attempt_->others) {
    auto invite = [](control::Founding::Builder out) { out.setInvite(); };
    tasks_.add(Ask(node, invite).then([this, node, number = attempt_->number](Said&& said) {
      if (!attempt_ || attempt_->number != number) return;
      if (said.kind == Said::Kind::kChosen) return owner_.OnFounded(said.value);
      if (said.kind != Said::Kind::kCandidate || said.candidate.name != node) {
        return GiveUp(absl::StrCat(node, ": ", said.text));
      }
      attempt_->candidates.push_back(std::move(said.candidate));
      if (attempt_->candidates.size() > attempt_->others.size()) Compose();
    }));
  }
}

// All are there: the value, if they fit together.
void Founding::Compose() {
  auto& founders = attempt_->candidates;
  std::sort(founders.begin(), founders.end(),
            [](const Founder& a, const Founder& b) { return a.name < b.name; });
  if (std::all_of(founders.begin(), founders.end(), HostsNothing)) {
    const std::string why = WouldHostNothing(founders);
    GiveUp(why);
    return owner_.OnUnfit(why);
  }
  ClusterState together;  // Those that fit so far; we ourselves are the first.
  together.config = self_.options.config;
  for (const Founder& founder : founders) {
    absl::Status fits = CheckTypes(founder.name, founder.types);
    if (fits.ok()) fits = CheckStorage(founder.name, founder.types, founder.storage);
    if (fits.ok()) fits = CheckFits(together, founder.name, founder.types);
    if (!fits.ok()) return GiveUpAs(founder.name, std::string(fits.message()));
    NodeEntry& node = together.nodes.emplace_back();
    node.name = founder.name;
    node.types = IdsOf(founder.types);
    TakeTypesAndGroups(together, founder.types);
  }
  attempt_->cluster = self_.host.RandomId();
  attempt_->value = ValueOf(Found(attempt_->cluster, self_.options.config, founders));
  Offer();
}

// One of us can be no member beside the others: it ends, and we wait for another in its place.
void Founding::GiveUpAs(const std::string& unfit, const std::string& why) {
  if (unfit == self_.name()) {
    GiveUp(why);
    return owner_.OnUnfit(why);
  }
  auto tell = [why](control::Founding::Builder out) { out.setUnfit(why.c_str()); };
  tasks_.add(Ask(unfit, tell).then([](Said&&) {}));
  GiveUp(why);
}

// To all who have not accepted yet; again and again, because those who have are bound.
void Founding::Offer() {
  for (const std::string& node : attempt_->others) {
    if (std::binary_search(attempt_->agreed.begin(), attempt_->agreed.end(), node)) continue;
    auto offer = [value = attempt_->value](control::Founding::Builder out) {
      out.setOffer(codec::AsKj(value->contents));
    };
    tasks_.add(Ask(node, offer).then([this, node, number = attempt_->number](Said&& said) {
      OnOffered(number, node, said);
    }));
  }
}

void Founding::OnOffered(uint64_t attempt, const std::string& node, const Said& said) {
  if (!attempt_ || attempt_->number != attempt || attempt_->counts) return;
  if (said.kind == Said::Kind::kNothing) return;  // Asked again at the next tick.
  if (said.kind != Said::Kind::kAccepted) return GiveUp(absl::StrCat(node, ": ", said.text));
  auto& agreed = attempt_->agreed;
  auto at = std::lower_bound(agreed.begin(), agreed.end(), node);
  if (at == agreed.end() || *at != node) agreed.insert(at, node);
  const bool enough = self_.options.mutations->founding_without_all &&
                      2 * (agreed.size() + 1) > attempt_->others.size() + 1;
  if (agreed.size() < attempt_->others.size() && !enough) return;
  attempt_->counts = true;
  Accepted(attempt_->value);
}

void Founding::GiveUp(const std::string& why) {
  if (attempt_->counts) return;
  self_.log().Warning("founding given up, to be tried again", {{"reason", why}});
  auto given_up = *std::exchange(attempt_, std::nullopt);
  not_before_ = self_.Now() + kTick * (1 + self_.host.random().Below(5));
  if (given_up.value == nullptr) return;
  Refuse(given_up.cluster);  // Whoever asks later is told the same.
  for (const std::string& node : given_up.others) {
    auto withdraw = [cluster = given_up.cluster](control::Founding::Builder out) {
      codec::WriteId(cluster, out.initWithdraw());
    };
    tasks_.add(Ask(node, withdraw).then([](Said&&) {}));
  }
}

}  // namespace troupe

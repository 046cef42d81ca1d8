#include "troupe/sim/voter_invariants.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/membership/register_codec.h"

namespace troupe::sim {
namespace {

constexpr size_t kBallotsMax = 128;

}  // namespace

void VoterInvariants::Step() {
  for (const auto& name : cluster_.names()) {
    if (cluster_.has(name)) LookAt(name);
  }
}

void VoterInvariants::LookAt(const std::string& name) {
  const Membership& membership = cluster_.node(name).membership();
  const AcceptorState& now = membership.acceptor();
  const auto map = membership.map();
  if (map == nullptr) {
    seen_.erase(name);  // A founding that came to nothing is forgotten.
    return;
  }
  Seen& last = seen_[name];
  const Seen next{membership.Introduce().nonce, map->generation, now.promised, now.accepted};
  const bool same = last.nonce == next.nonce && last.generation == next.generation;
  if (same && last.promised == next.promised && last.accepted == next.accepted) return;
  if (same && next.promised < last.promised) {
    problem_("voters", absl::StrCat(name, " promised ", Describe(last.promised), ", then only ",
                                    Describe(next.promised)));
  }
  if (same && next.accepted < last.accepted) {
    problem_("voters", absl::StrCat(name, " accepted ", Describe(last.accepted), ", then ",
                                    Describe(next.accepted)));
  }
  last = next;
  if (now.value == nullptr) return;
  auto [it, fresh] = ballots_.try_emplace(now.accepted, now.value);
  if (!fresh && !Same(it->second, now.value)) {
    problem_("voters", absl::StrCat("ballot ", Describe(now.accepted), " carries two values"));
  }
  if (ballots_.size() > kBallotsMax) ballots_.erase(ballots_.begin());
}

void VoterInvariants::CheckHeld(const ClusterState& chosen) {
  for (const auto* set : {&chosen.voters, &chosen.pending}) {
    if (set->empty()) continue;
    size_t hold = 0;
    std::string without;
    for (const VoterId& voter : *set) {
      const Holds holds = Look(voter, chosen);
      hold += holds != Holds::kNo ? 1 : 0;
      if (holds == Holds::kNo) absl::StrAppend(&without, without.empty() ? "" : ", ", voter.node);
    }
    if (2 * hold > set->size()) continue;
    problem_("voters", absl::StrCat("map ", chosen.version, " is known as chosen, but of ",
                                    set->size(), " voters ", set == &chosen.pending ? "to be " : "",
                                    without, " do not have it"));
  }
}

VoterInvariants::Holds VoterInvariants::Look(const VoterId& voter, const ClusterState& chosen) {
  const auto judge = [&](const ValuePtr& value) {
    return value != nullptr && value->version >= chosen.version ? Holds::kYes : Holds::kNo;
  };
  const bool runs = cluster_.has(voter.node);
  if (runs && cluster_.options().diskless.contains(voter.node)) {
    const Membership& membership = cluster_.node(voter.node).membership();
    if (membership.voter() == voter) return judge(membership.acceptor().value);
    return Holds::kGone;
  }
  const auto record = cluster_.world().disk(voter.node).Contents("acceptor");
  if (!record.has_value() || record->empty()) return Holds::kGone;
  const auto stored = DecodeStoredAcceptor(*record);
  if (!stored.ok() || stored->voter != voter) return Holds::kGone;
  return judge(stored->state.value);
}

}  // namespace troupe::sim

// Change: one command on its way from the value before to the value after.
//
// Internal to membership/apply*.cc. Each operator writes what its command itself changes; what
// follows from that for every shard is Settle (shard_rules.h).
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "troupe/membership/cluster_state.h"

namespace troupe::apply {

// What a command came to, short of an error: its effect is there already, or it wrote its change.
enum class Outcome { kAlreadySo, kChanged };
using Result = absl::StatusOr<Outcome>;

template <typename... Words>
absl::Status Refused(const Words&... words) {
  return absl::FailedPreconditionError(absl::StrCat(words...));
}
template <typename... Words>
absl::Status Invalid(const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat(words...));
}

// Carries one command from `before_` to `after_`.
class Change {
 public:
  Change(const ClusterState& before, ClusterState& after, const MembershipMutations& mutations)
      : before_(before), after_(after), mutations_(mutations) {}

  Result operator()(const Register& c);
  Result operator()(const Fence& c);
  Result operator()(const Unfence& c);
  Result operator()(const AlterIsr& c);
  Result operator()(const AddLearner& c);
  Result operator()(const RemoveLearner& c);
  Result operator()(const MovePrimary& c);
  Result operator()(const Drain& c);
  Result operator()(const Leave& c);
  Result operator()(const Recover& c);
  Result operator()(const DeclareLost& c);
  Result operator()(const SetPendingVoters& c);
  Result operator()(const AdoptPendingVoters& c);
  Result operator()(const SetConfig& c);

  Boot no_wait() const { return no_wait_; }

 private:
  NodeEntry* Find(const std::string& name);
  // The entry of `name` if `boot` is its current boot.
  absl::StatusOr<NodeEntry*> FindCurrent(const std::string& name, Boot boot);
  // The shard, if it exists and its epoch is `epoch` and it has a primary.
  absl::StatusOr<ShardEntry*> FindActive(ShardId id, Epoch epoch);
  absl::StatusOr<ShardEntry*> FindShard(ShardId id);
  absl::Status CheckLosesNothing(const NodeEntry& node) const;
  void ForgetOldestLeft();
  void RenameDurable(CopyId old, CopyId next);
  void TakePlaces(CopyId old, CopyId next);

  const ClusterState& before_;
  ClusterState& after_;
  const MembershipMutations& mutations_;
  Boot no_wait_ = 0;
};

}  // namespace troupe::apply

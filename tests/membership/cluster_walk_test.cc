// ClusterState under random commands: what must hold holds after every one, and survives encoding.
#include <algorithm>
#include <set>

#include "durable_fixture.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"
#include "troupe/runtime/random.h"

namespace troupe {
namespace {

// Draws commands of which about half apply: current ones, stale ones, nonsense.
class Walk {
 public:
  explicit Walk(uint64_t seed)
      : random_(seed),
        state_(random_.Chance(0.5)
                   ? MakeCluster(1 + random_.Below(5), 1 + random_.Below(6), 1 + random_.Below(4))
                   : DurableCluster(1 + random_.Below(5), 1 + random_.Below(4),
                                    1 + random_.Below(4))) {}

  const ClusterState& state() const { return state_; }
  int applied() const { return applied_; }

  // What a step of a broken Apply does to durable copies; empty: nothing.
  std::string Step(const MembershipMutations& mutations) {
    const Command command = Draw();
    absl::StatusOr<Applied> result = Apply(state_, command, mutations);
    if (!result.ok() || !result->changed) return "";
    const ClusterState before = std::exchange(state_, std::move(result->state));
    return DurableProblem(before, state_, command);
  }

  void Step() {
    Command command = Draw();
    absl::StatusOr<Applied> result = Apply(state_, command);
    if (!result.ok()) return;
    if (!result->changed) {
      ASSERT_EQ(result->state, state_) << Describe(command);
      return;
    }
    ++applied_;
    ClusterState before = std::exchange(state_, std::move(result->state));
    SCOPED_TRACE(Describe(command));
    ASSERT_TRUE(Validate(state_).ok()) << Validate(state_);
    ASSERT_EQ(state_.version, before.version + 1);
    Compare(before, command);
    ASSERT_EQ(DurableProblem(before, state_, command), "");
    absl::StatusOr<Applied> again = Apply(state_, command);
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_FALSE(again->changed);
    Recode(before, command);
    if (random_.Chance(0.05)) old_.push_back(command);
  }

 private:
  void Compare(const ClusterState& before, const Command& command) {
    for (ShardId id = 0; id < before.shards.size(); ++id) {
      const ShardEntry &old = before.shards[id], &now = state_.shards[id];
      SCOPED_TRACE(id);
      ASSERT_GE(now.epoch, old.epoch);
      ASSERT_LE(now.epoch, old.epoch + 1);
      ASSERT_GE(now.lineage, old.lineage);
      ASSERT_GE(now.isr_version, old.isr_version);
      if (now.isr != old.isr) {
        ASSERT_EQ(now.isr_version, old.isr_version + 1);
      }
      if (now.primary != 0 && now.primary != old.primary) {
        ASSERT_EQ(now.epoch, old.epoch + 1);
      }
      if (now.lineage == old.lineage) CheckNothingForgotten(id, old, now, command);
      if (now.epoch == old.epoch && now.primary != 0) {
        ASSERT_EQ(now.no_wait, old.no_wait);
      }
      if (std::holds_alternative<Fence>(command)) {
        ASSERT_NE(now.state, Lost(old));
      }
      const Copies copies(state_);
      for (CopyId copy : now.learners) ASSERT_GT(copies.TypesAt(copy, id), 0u);
      if (state_.IsDurable(id)) continue;  // Copies on a disk stay, whatever is hosted there.
      for (CopyId copy : now.isr) ASSERT_GT(copies.TypesAt(copy, id), 0u);
    }
    for (const NodeEntry& one : state_.nodes) {
      for (const NodeEntry& other : state_.nodes) {
        if (!state_.IsUp(one.boot) || !state_.IsUp(other.boot)) continue;
        ASSERT_TRUE(Fit(TypesOf(state_, one), TypesOf(state_, other)))
            << one.name << " and " << other.name;
      }
    }
    bool falls = false;
    for (size_t i = 0; i < before.roles.size(); ++i) {
      ASSERT_EQ(state_.roles[i].name, before.roles[i].name);
      ASSERT_EQ(state_.roles[i].shards, before.roles[i].shards);
      falls = falls || state_.roles[i].min_isr < before.roles[i].min_isr;
    }
    if (falls) {
      ASSERT_TRUE(std::holds_alternative<Leave>(command) ||
                  std::holds_alternative<SetConfig>(command));
    }
  }

  static ShardState Lost(const ShardEntry& old) {  // A state that `old` must not turn into.
    return old.state == ShardState::kLost ? ShardState::kActive : ShardState::kLost;
  }

  // Everything answered stays on an electable copy: who was in sync or electable and exists is
  // dropped only when at least min_isr in-sync copies remain.
  void CheckNothingForgotten(ShardId id, const ShardEntry& old, const ShardEntry& now,
                             const Command& command) {
    if (std::holds_alternative<DeclareLost>(command)) return;
    if (now.state != ShardState::kLost && now.isr.size() >= state_.min_isr(id)) return;
    for (const std::vector<CopyId>* set : {&old.isr, &old.elr}) {
      for (CopyId copy : *set) {
        const NodeEntry* node = state_.FindBoot(copy);
        if (node == nullptr || node->state == NodeState::kLeft) continue;
        ASSERT_TRUE(std::count(now.isr.begin(), now.isr.end(), copy) +
                    std::count(now.elr.begin(), now.elr.end(), copy))
            << "copy " << copy;
      }
    }
  }

  void Recode(const ClusterState& before, const Command& command) {
    absl::StatusOr<Command> decoded = DecodeCommand(Encode(command));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(Describe(*decoded), Describe(command));
    absl::StatusOr<Applied> same = Apply(before, *decoded);
    ASSERT_TRUE(same.ok() && same->state == state_);
    if (state_.format == before.format) {
      absl::StatusOr<ClusterState> patched = ApplyDiff(before, Diff(before, state_));
      ASSERT_TRUE(patched.ok()) << patched.status();
      ASSERT_EQ(*patched, state_);
    }
    if (!random_.Chance(0.1)) return;
    absl::StatusOr<ClusterState> whole = DecodeClusterState(Encode(state_));
    ASSERT_TRUE(whole.ok()) << whole.status();
    ASSERT_EQ(*whole, state_);
  }

  const NodeEntry& AnyNode() { return state_.nodes[random_.Below(state_.nodes.size())]; }

  CopyId AnyCopy() { return random_.Chance(0.9) ? AnyNode().boot : random_.Below(9); }

  std::vector<CopyId> AnySubset(std::vector<CopyId> of, CopyId with) {
    std::set<CopyId> set{with};
    for (CopyId copy : of) {
      if (random_.Chance(0.6)) set.insert(copy);
    }
    return {set.begin(), set.end()};
  }

  Command Draw() {
    if (!old_.empty() && random_.Chance(0.05)) return old_[random_.Below(old_.size())];
    if (random_.Chance(0.1)) {
      std::vector<Command> plan = PlanRepairs(state_, 4);
      if (!plan.empty()) return plan[random_.Below(plan.size())];
    }
    return random_.Chance(0.5) ? DrawNodeCommand() : DrawShardCommand();
  }

  std::vector<HostedType> AnyTypes() {
    std::vector<HostedType> types;
    for (uint64_t id = 76; id < 79; ++id) {
      if (random_.Chance(0.5)) types.push_back({id, id == 77 ? "Thing" : "T"});
    }
    if (random_.Chance(0.3)) types.push_back({80, "Trainer", "gpu"});
    if (random_.Chance(0.1)) types.push_back({81, "Printer", "paper"});
    if (random_.Chance(0.7)) types.push_back(kLedger);
    if (random_.Chance(0.1)) types.push_back({91, "Archive", "paper", true});
    return types;
  }

  Command DrawNodeCommand() {
    const NodeEntry& node = AnyNode();
    uint64_t generation = node.generation - (random_.Chance(0.05) ? 1 : 0);
    switch (random_.Below(8)) {
      case 0: {
        std::string name(1, static_cast<char>('a' + random_.Below(7)));
        const NodeEntry* old = state_.FindNode(name);
        Register c = Rejoin(name, 1000 + random_.Below(1u << 20), old == nullptr ? 0 : old->boot);
        c.holds_data_lock = random_.Chance(0.6);
        if (random_.Chance(0.3)) c.storage = Id128{9, 1 + random_.Below(8)};
        if (old != nullptr && random_.Chance(0.7)) c.storage = old->storage;
        c.zone = random_.Chance(0.5) ? "" : "z";
        if (random_.Chance(0.5)) c.types = {kThing, kLedger};
        if (random_.Chance(0.3)) c.types = AnyTypes();
        return c;
      }
      case 1:
      case 2:
        return Fence{
            node.name, node.boot, generation,
            random_.Chance(0.5) ? Fence::Grounds::kProofOfDeath : Fence::Grounds::kEvidence};
      case 3:
      case 4:
      case 5:
        return Unfence{node.name, node.boot, generation};
      case 6:
        if (random_.Chance(0.3)) return Drain{node.name, node.boot};
        return Leave{node.name, node.boot};
      default:
        return SetConfig{static_cast<uint32_t>(random_.Below(5)),
                         static_cast<uint32_t>(random_.Below(4))};
    }
  }

  Command DrawShardCommand() {
    ShardId id = static_cast<ShardId>(random_.Below(state_.shards.size() + (random_.Chance(0.01))));
    const ShardEntry& s = state_.shards[std::min<size_t>(id, state_.shards.size() - 1)];
    Epoch epoch = s.epoch - (random_.Chance(0.05) ? 1 : 0);
    switch (random_.Below(9)) {
      case 0:
      case 1:
      case 2:
        return AlterIsr{id, s.primary, epoch, s.isr_version, AnySubset(s.isr, s.primary)};
      case 3: {
        std::vector<CopyId> all = s.isr;
        all.insert(all.end(), s.learners.begin(), s.learners.end());
        return AlterIsr{id, s.primary, epoch, s.isr_version, AnySubset(all, s.primary)};
      }
      case 4:
        return AddLearner{id, epoch, AnyCopy()};
      case 5:
        return RemoveLearner{id, epoch, AnyCopy()};
      case 6:
        return MovePrimary{id, epoch, s.isr_version, s.primary,
                           random_.Chance(0.5) ? 0 : AnyCopy()};
      case 7:
        return Recover{id, s.lineage};
      default:
        if (random_.Chance(0.9)) return AddLearner{id, epoch, AnyCopy()};
        return DeclareLost{id, s.lineage, epoch};
    }
  }

  Random random_;
  ClusterState state_;
  std::vector<Command> old_;
  int applied_ = 0;
};

TEST(ClusterWalk, KeepsItsInvariants) {
  int applied = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Walk walk(seed);
    for (int i = 0; i < 500; ++i) {
      walk.Step();
      if (HasFatalFailure()) return;
    }
    applied += walk.applied();
  }
  EXPECT_GT(applied, 5000);
}

TEST(ClusterWalk, FindsCopiesThatAreRenamedAgainstTheRules) {
  const auto finds = [](const MembershipMutations& mutations) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      Walk walk(seed);
      for (int i = 0; i < 500; ++i) {
        if (!walk.Step(mutations).empty()) return true;
      }
    }
    return false;
  };
  MembershipMutations without_lock, any_storage, in_epoch;
  without_lock.rename_without_lock = true;
  any_storage.rename_any_storage = true;
  in_epoch.rename_in_epoch = true;
  EXPECT_TRUE(finds(without_lock));
  EXPECT_TRUE(finds(any_storage));
  EXPECT_TRUE(finds(in_epoch));
  EXPECT_FALSE(finds(kNoMembershipMutations));
}

}  // namespace
}  // namespace troupe
